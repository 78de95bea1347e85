// Clients of one tree of files against the model in memory, step by step, and the checker against mistakes. Long runs and
// replays: files-differential.ts.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Files } from '../../src/core/volume/files/files.ts';
import { MemoryFiles } from '../fakes/memory-files.ts';
import { checkTwoClients, small } from './files-differential.ts';
import { FilesExecutor } from './files-executor.ts';
import { Mismatch, replaySteps, runFilesLoad, shortest } from './files-load.ts';

describe('two clients of one tree', () => {
  for (const seed of [1, 2])
    test(`do what the model does, seed ${seed}`, { timeout: 300_000 }, async (t) => {
      const result = await checkTwoClients(seed, 1000);
      assert.ok(result.done > result.operations * 0.4, `only ${result.done} steps did something`);
      t.diagnostic(JSON.stringify(result));
    });
});

/** The model with one method done wrongly. */
function wrong(change: (right: Files) => Partial<Files>): FilesExecutor {
  const right = new MemoryFiles();
  const mistakes = change(right);
  const files = new Proxy(right as Files, {
    get: (target, name) => {
      const from = name in mistakes ? mistakes : target;
      const value: unknown = Reflect.get(from, name);
      return typeof value === 'function' ? value.bind(from) : value;
    },
  });
  return new FilesExecutor([files, files]);
}

const mistakes: Record<string, (right: Files) => Partial<Files>> = {
  'an exchange that only moves': (right) => ({
    rename: (from, to, mode) => right.rename(from, to, mode === 'exchange' ? 'replace' : mode),
  }),
  'a cut that is forgotten when the file grows': (right) => {
    const cut = new Map<number, { at: number; byte: Uint8Array }>();
    return {
      change: async (inode, change) => {
        const { size, type } = await right.attributes(inode);
        if (type === 'file' && change.size !== undefined && change.size < size)
          cut.set(inode, { at: change.size, byte: Buffer.concat(await right.read(inode, change.size, 1)) });
        const answer = await right.change(inode, change);
        const kept = cut.get(inode);
        if (kept && answer.size > kept.at) await right.write(inode, kept.at, kept.byte);
        return answer;
      },
    };
  },
  'a replaced file that loses data although it has another name': (right) => ({
    rename: async (from, to, mode) => {
      const replaced = await right.lookup(to.directory, to.name).catch(() => undefined);
      await right.rename(from, to, mode);
      if (replaced?.type !== 'file' || replaced.links < 2 || replaced.size === 0) return;
      await right.change(replaced.inode, { size: replaced.size - 1 });
    },
  }),
  'data behind a hole that is not found': (right) => ({
    seek: async (inode, offset, what) => {
      const found = await right.seek(inode, offset, what);
      return what === 'data' && found > offset ? found + 1 : found;
    },
  }),
};

describe('the checker', () => {
  test('agrees with the model itself', async () => {
    const files = new MemoryFiles();
    const result = await runFilesLoad(new FilesExecutor([files, files]), { seed: 1, operations: 2000, ...small });
    assert.ok(result.done > result.operations * 0.5, `only ${result.done} of ${result.operations} steps did something`);
    assert.ok(result.entries > 10);
  });

  for (const [name, change] of Object.entries(mistakes))
    test(`finds ${name}, and few steps that show it`, async () => {
      const run = runFilesLoad(wrong(change), { seed: 2, operations: 10_000, ...small });
      const found = await run.then(
        () => assert.fail('not found'),
        (error: unknown) => error,
      );
      assert.ok(found instanceof Mismatch, String(found));
      const again = (steps: typeof found.steps) => replaySteps(wrong(change), steps, small);
      const steps = await shortest(found.steps, again, 40);
      assert.ok(steps.length < found.steps.length / 2, `${steps.length} of ${found.steps.length} steps`);
      await assert.rejects(again(steps), Mismatch);
    });
});
