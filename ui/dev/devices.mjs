// Development only: my devices, and a new one on its way in.
import { missing, problem } from './answers.mjs';
import { qrSvg } from './qr.mjs';
import { MINUTE } from './world.mjs';

const changed = (world) => {
  world.emit('device', world.devices);
  return [200, world.devices];
};

function link(world) {
  const text = 'aside://home.example.org/device/mira#x3Vb9nQm2kTw7yHd5rLz1gJs8cFpAe4U';
  return [200, { link: text, qr: qrSvg(text), expires_at: world.now + 10 * MINUTE }];
}

function accept(world, { link: text, name }) {
  if (!/^aside:\/\/[^/]+\/device\//.test(text)) return problem(400, 'bad_link', 'This is not a link for a new device. It begins with aside:// and has /device/ in it.');
  world.devices = [{ id: 'd9', name, is_this: true, added_at: world.now }];
  world.linking = { state: 'asking' };
  return [200, world.state()];
}

function requests(world, method, id, body) {
  if (!id) return [200, world.deviceRequests];
  const request = world.deviceRequests.find((one) => one.id === id);
  if (!request) return missing;
  world.deviceRequests = world.deviceRequests.filter((one) => one !== request);
  if (body.accept) {
    world.history = body.history;
    world.devices = [...world.devices, { id: request.id, name: request.name, is_this: false, added_at: world.now }];
    changed(world);
  }
  return [204];
}

export function aboutDevices(world, method, [first, second], body) {
  if (!first) return [200, world.devices];
  if (first === 'link') return link(world);
  if (first === 'accept') return accept(world, body);
  if (first === 'requests') return requests(world, method, second, body);
  const device = world.devices.find((one) => one.id === first);
  if (!device) return missing;
  if (method === 'PUT') {
    device.name = body.name;
    changed(world);
    return [200, device];
  }
  device.revoked_at = world.now;
  return changed(world);
}
