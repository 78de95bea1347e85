// The model of files agrees with a file system of Linux itself: what mounted volumes are measured by is no invention of ours. And two
// mounts of one volume agree with the model, whichever of them does a step.

import assert from 'node:assert/strict';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Lab, mountsBelow } from './device.ts';
import { mountDifferential } from './mount-differential.ts';
import { cannotMount, createVolume, mountOn } from './volume.ts';

const memory = '/dev/shm';
const tmpfs = 0x01021994;
const file = 'test/end-to-end/mount-differential.test.ts';

/** What to run, unless the environment says otherwise (seeds with commas between), and how to run it again. */
function courses(seedsUsual: readonly number[], operationsUsual: number) {
  const { INFINIT_SEED, INFINIT_OPERATIONS } = process.env;
  const operations = Number(INFINIT_OPERATIONS ?? operationsUsual);
  const seeds = INFINIT_SEED?.split(',').map(Number) ?? seedsUsual;
  return seeds.map((seed) => {
    const command = (steps: number) =>
      `INFINIT_SEED=${seed} INFINIT_OPERATIONS=${steps} node --import tsx --test ${file}`;
    return { seed, operations, command };
  });
}

test('the model does what Linux does', { timeout: 300_000 }, async (t) => {
  const { type } = await statfs(memory).catch(() => ({ type: 0 }));
  if (type !== tmpfs) return t.skip('no file system in memory to compare with');
  const folder = await mkdtemp(join(memory, 'infinit-'));
  try {
    for (const course of courses([1], 3000)) {
      const result = await mountDifferential({ mounts: [folder, folder], ...course });
      assert.ok(result.done > course.operations * 0.4);
      t.diagnostic(JSON.stringify(result));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('two mounts of one volume do what the model does', {
  timeout: 1_800_000 + 200 * Number(process.env.INFINIT_OPERATIONS ?? 0),
  skip: cannotMount() ?? false,
}, async (t) => {
  const lab = new Lab();
  try {
    const { devices } = await createVolume(lab);
    const [leader, follower] = [await mountOn(devices.one), await mountOn(devices.two)];
    const mounts = [leader.mountpoint, follower.mountpoint];
    for (const course of courses([9, 10], 10_000)) {
      const started = Date.now();
      const result = await mountDifferential({ mounts, walkEvery: 500, ...course });
      assert.ok(result.done > course.operations * 0.4);
      t.diagnostic(`seed ${course.seed}: ${JSON.stringify(result)} in ${Date.now() - started} ms`);
    }
    for (const mount of [follower, leader]) assert.equal(await mount.stop('SIGINT'), 0, mount.output);
    assert.deepEqual(mountsBelow(lab.folder), []);
  } finally {
    await lab.close();
  }
});
