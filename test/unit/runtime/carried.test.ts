import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/core/runtime/system/clock.ts';
import { systemTransport } from '../../../src/core/runtime/system/transport.ts';
import { carrierPair, type Meddler } from '../../conformance/carriers.ts';
import { testKey } from '../peer/fake-admission.ts';

const clock = systemClock();
const secret = Buffer.from('a word nobody on the way may read');

async function carried(meddle?: Meddler) {
  const carriers = carrierPair(clock, meddle);
  const [near, far] = await Promise.all([
    systemTransport.secure(carriers.near, 'dialler', testKey(0)),
    systemTransport.secure(carriers.far, 'listener', testKey(1)),
  ]);
  return { near, far };
}

test('who carries sees nothing of what is sent', async () => {
  const seen: Buffer[] = [];
  const { near, far } = await carried((bytes) => {
    seen.push(bytes);
    return bytes;
  });
  const arrived = new Promise<Buffer>((resolve) => far.onFrame(resolve));
  far.onClose(() => {});
  near.onClose(() => {});
  near.send([secret]);
  assert.deepEqual(await arrived, secret);
  const all = Buffer.concat(seen);
  assert.ok(all.length > secret.length);
  assert.ok(!all.includes(secret));
  assert.ok(!all.includes(testKey(0).publicKey) && !all.includes(testKey(1).publicKey), 'not even who they are');
  near.close();
});

test('a byte changed on its way ends the connection', async () => {
  let armed = false;
  const { near, far } = await carried((bytes, towards) => {
    if (armed && towards === 'far') bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    return bytes;
  });
  const frames: Buffer[] = [];
  far.onFrame((frame) => frames.push(frame));
  near.onFrame(() => {});
  const ends = [near, far].map((end) => new Promise((resolve) => end.onClose(resolve)));
  armed = true;
  near.send([secret]);
  await Promise.all(ends);
  assert.deepEqual(frames, []);
});

test('a third that answers itself shows its own key', async () => {
  const { near: toThird, far: third } = carrierPair(clock);
  const [near] = await Promise.all([
    systemTransport.secure(toThird, 'dialler', testKey(0)),
    systemTransport.secure(third, 'listener', testKey(2)),
  ]);
  assert.deepEqual(Buffer.from(near.remoteKey), testKey(2).publicKey);
  near.close();
});
