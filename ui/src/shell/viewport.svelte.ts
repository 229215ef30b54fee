// The widths at which the layout changes.

export const PHONE_WIDTH_MAX = 719;
export const WIDE_WIDTH_MIN = 1180;

class Viewport {
  phone = $state(false);
  /** Room for the details beside the conversation. */
  wide = $state(false);

  constructor() {
    this.#follow(`(max-width: ${PHONE_WIDTH_MAX}px)`, (matches) => (this.phone = matches));
    this.#follow(`(min-width: ${WIDE_WIDTH_MIN}px)`, (matches) => (this.wide = matches));
  }

  #follow(query: string, set: (matches: boolean) => void): void {
    const media = matchMedia(query);
    set(media.matches);
    media.addEventListener('change', () => set(media.matches));
  }
}

export const viewport = new Viewport();
