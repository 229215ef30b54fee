// My own devices, and those that wait to become one.
import { api } from '../api/client';
import type { Device, DeviceRequest, HistoryLength } from '../api/types';
import type { LoadPhase } from './conversations.svelte';

class Devices {
  phase = $state<LoadPhase>('loading');
  /** This one first, then the others from the newest, those that were removed last. */
  list = $state.raw<Device[]>([]);
  requests = $state.raw<DeviceRequest[]>([]);

  adopt(devices: Device[]): void {
    const rank = (device: Device) => (device.is_this ? 0 : device.revoked_at === undefined ? 1 : 2);
    this.list = [...devices].sort((a, b) => rank(a) - rank(b) || b.added_at - a.added_at);
    this.phase = 'ready';
  }

  find(id: string | undefined): Device | undefined {
    return this.list.find((device) => device.id === id);
  }

  async refetch(): Promise<void> {
    try {
      this.adopt(await api.devices());
    } catch (error) {
      if (this.phase === 'loading') this.phase = 'failed';
      throw error;
    }
  }

  async refetchRequests(): Promise<void> {
    this.requests = await api.deviceRequests();
  }

  async rename(id: string, name: string): Promise<void> {
    const changed = await api.renameDevice(id, name);
    this.adopt(this.list.map((device) => (device.id === id ? changed : device)));
  }

  async revoke(id: string, phrase?: string): Promise<void> {
    this.adopt(await api.revokeDevice(id, phrase));
  }

  async answer(id: string, accept: boolean, history: HistoryLength): Promise<void> {
    await api.answerDeviceRequest(id, accept, history);
    this.requests = this.requests.filter((request) => request.id !== id);
  }
}

export const devices = new Devices();
