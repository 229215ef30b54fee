// Who is here, and whether the local client answers. Everything else hangs off these two facts.
import { api } from '../api/client';
import type { ConnectionStatus, ServerConnection, Settings, State } from '../api/types';

export type Phase =
  | 'starting'
  /** The page has no session: it must be opened again by `aside app`. */
  | 'signed_out'
  /** The person asked the client to stop. */
  | 'stopped'
  | 'ready';

const severity: Record<ConnectionStatus, number> = { connected: 0, connecting: 1, offline: 2 };

/** Until the client has said how many a group can hold. */
const MEMBERS_MAX_UNKNOWN = 256;

class Session {
  phase = $state<Phase>('starting');
  state = $state.raw<State | null>(null);
  /** Whether the local client answers at all. */
  reachable = $state(true);

  settings = $derived<Settings>(
    this.state?.settings ?? {
      theme: 'system',
      read_receipts: true,
      typing_indicators: true,
      notifications: false,
      findable: true,
    },
  );
  /** The connection that is worst off, or null before a server is known. */
  worstConnection = $derived.by<ServerConnection | null>(() => {
    const connections = this.state?.connections ?? [];
    return connections.reduce<ServerConnection | null>(
      (worst, next) => (!worst || severity[next.status] > severity[worst.status] ? next : worst),
      null,
    );
  });

  /** Another of the person's devices has removed this one. */
  removed = $derived(this.state?.device?.revoked_at !== undefined);

  /** How many people a group can hold. */
  membersMax = $derived(this.state?.limits?.group_members ?? MEMBERS_MAX_UNKNOWN);

  adopt(state: State): void {
    this.state = state;
    this.reachable = true;
    if (this.phase === 'starting' || this.phase === 'signed_out') this.phase = 'ready';
  }

  async refetch(): Promise<void> {
    this.adopt(await api.state());
  }

  async changeSettings(changes: Partial<Settings>): Promise<void> {
    const before = this.state;
    if (before) this.state = { ...before, settings: { ...before.settings, ...changes } };
    try {
      const settings = await api.saveSettings(changes);
      if (this.state) this.state = { ...this.state, settings };
    } catch (error) {
      if (before) this.state = { ...(this.state ?? before), settings: before.settings };
      throw error;
    }
  }
}

export const session = new Session();
