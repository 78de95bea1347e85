// The model of files agrees with a file system of Linux itself: what mounted volumes are measured by is no invention of ours.

import assert from 'node:assert/strict';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { mountDifferential } from './mount-differential.ts';

const memory = '/dev/shm';
const tmpfs = 0x01021994;

test('the model does what Linux does', { timeout: 300_000 }, async (t) => {
  const { type } = await statfs(memory).catch(() => ({ type: 0 }));
  if (type !== tmpfs) return t.skip('no file system in memory to compare with');
  const folder = await mkdtemp(join(memory, 'infinit-'));
  try {
    const operations = Number(process.env.INFINIT_OPERATIONS ?? 3000);
    const seed = Number(process.env.INFINIT_SEED ?? 1);
    const command = (steps: number) =>
      `INFINIT_SEED=${seed} INFINIT_OPERATIONS=${steps} node --import tsx --test test/end-to-end/mount-differential.test.ts`;
    const result = await mountDifferential({ mounts: [folder, folder], seed, operations, command });
    assert.ok(result.done > operations * 0.4);
    t.diagnostic(JSON.stringify(result));
  } finally {
    await rm(folder, { recursive: true });
  }
});
