// Short notes at the foot of the window. Deletions wait here until undo is over.

export interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'problem';
  undo?: () => void;
}

export const TOAST_MS = 5_000;

interface Pending {
  id: number;
  commit: (last: boolean) => void;
}

class Toasts {
  list = $state.raw<Toast[]>([]);
  #next = 1;
  #timers = new Map<number, ReturnType<typeof setTimeout>>();
  #pending: Pending[] = [];

  say(text: string): void {
    this.#show({ id: this.#next++, text, tone: 'plain' });
  }

  problem(text: string): void {
    this.#show({ id: this.#next++, text, tone: 'problem' });
  }

  /** The deed is done on the screen at once and for real when the time for undo is over. */
  undoable(text: string, undo: () => void, commit: (last: boolean) => void): void {
    const id = this.#next++;
    this.#pending.push({ id, commit });
    this.#show({
      id,
      text,
      tone: 'plain',
      undo: () => {
        this.#pending = this.#pending.filter((pending) => pending.id !== id);
        this.dismiss(id);
        undo();
      },
    });
  }

  dismiss(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.list = this.list.filter((toast) => toast.id !== id);
    const due = this.#pending.filter((pending) => pending.id === id);
    this.#pending = this.#pending.filter((pending) => pending.id !== id);
    due.forEach((pending) => pending.commit(false));
  }

  /** The page is going away: what was decided happens. */
  commitAll(): void {
    const due = this.#pending;
    this.#pending = [];
    due.forEach((pending) => pending.commit(true));
  }

  /** While the pointer or the focus is on a note, it stays. */
  hold(id: number): void {
    clearTimeout(this.#timers.get(id));
  }

  release(id: number): void {
    if (this.list.some((toast) => toast.id === id)) this.#expireLater(id);
  }

  #show(toast: Toast): void {
    this.list = [...this.list.slice(-2), toast];
    this.#expireLater(toast.id);
  }

  #expireLater(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.set(id, setTimeout(() => this.dismiss(id), TOAST_MS));
  }
}

export const toasts = new Toasts();
