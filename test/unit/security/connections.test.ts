// Connections as a resource: a member who opens one after another, and never lets the calls on the old ones end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '../../../src/core/base/codec.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { frameFlags, frameKinds, framePrefix, hello, namePart } from '../../../src/core/peer/frames.ts';
import { createPeers } from '../../../src/core/peer/peers.ts';
import { wait } from '../../conformance/peer.ts';
import { createWorld } from '../../simulator/runtime/world.ts';
import { fakeAdmission, testKey } from '../peer/fake-admission.ts';

function greeting(): Buffer {
  const presented = fakeAdmission(testKey(0)).present();
  const body = encode(hello, { versionMin: 1, versionMax: 1, presented });
  return Buffer.concat([framePrefix(frameKinds.hello, 0, body.length), body]);
}

test('calls that never end do not keep replaced connections for ever', async () => {
  const world = createWorld({ seed: 1 });
  const { runtime } = world.host('victim');
  const peers = createPeers({ runtime, identity: testKey(1), admission: fakeAdmission(testKey(1)) });
  const { port } = await world.settle(peers.listen({ host: '::', port: 0 }));
  let running = 0;
  peers.serve(wait, (_, { signal }) => {
    running++;
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        running--;
        resolve({});
      });
    });
  });
  const call = [framePrefix(frameKinds.request, 1, 0, 1, frameFlags.named), namePart(wait.name)];
  let open = 0;
  for (let i = 0; i < 20; i++) {
    const { transport } = world.host('attacker').runtime;
    const connection = await world.settle(transport.dial({ host: 'victim', port }, testKey(0)));
    open++;
    connection.onFrame((frame) => {
      if (frame[0] === frameKinds.ping) connection.send([framePrefix(frameKinds.pong)]);
    });
    connection.onClose(() => open--);
    connection.send([greeting()]);
    connection.send(call);
    await world.runFor(20);
  }
  await world.runFor(10_000);
  assert.equal(open, limits.sessionsPerPeerMax);
  assert.equal(running, limits.sessionsPerPeerMax);
  assert.equal(peers.connected().length, 1);
  await world.settle(peers.stop());
});
