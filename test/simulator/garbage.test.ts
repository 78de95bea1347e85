// Garbage cycles under faults, and that the checks notice each rule that is broken on purpose (docs/protocols.md 8, W1 to W4).
// INFINIT_SEED=n replays another seed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CollectedTree } from '../../src/core/tree/collected.ts';
import type { Tree } from '../../src/core/tree/tree.ts';
import { type GarbageScheduleOptions, runGarbageSchedule } from './garbage.ts';

const given = process.env.INFINIT_SEED;
const seeds = given === undefined ? [1, 2, 3, 4] : [Number(given)];

describe('garbage cycles', () => {
  for (const seed of seeds)
    test(`eat nothing that is referred to, leave nothing else, seed ${seed}`, { timeout: 300_000 }, async () => {
      const { generations, swept, answered, operations, refused } = await runGarbageSchedule({ seed, timeMs: 30_000 });
      assert.equal(refused, 0);
      assert.ok(generations > 4, `only ${generations} generations`);
      assert.ok(swept > 50, `only ${swept} copies were swept`);
      assert.ok(answered > operations * 0.9, `only ${answered} of ${operations} operations were answered`);
    });
});

/** The seeds in which what is planted is noticed. */
async function caught(planted: Partial<GarbageScheduleOptions>, seedsMax = 12): Promise<string | undefined> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    try {
      await runGarbageSchedule({ timeMs: 30_000, keys: 3, askEveryMs: 500, ...planted, seed });
    } catch (error) {
      return String(error);
    }
  }
  return undefined;
}

/** Chunks say they were put in a generation that is never old. */
function unchecked(tree: Tree): Tree {
  return Object.assign(Object.create(tree) as Tree, {
    writeChunks: async (...args: Parameters<Tree['writeChunks']>) =>
      (await tree.writeChunks(...args)).map((chunk) => ({ ...chunk, generation: 2 ** 31 })),
  });
}

function captureFirst(tree: CollectedTree): CollectedTree {
  const capture = async () => {
    const view = await tree.view();
    const { generation, body } = await tree.capture();
    return { generation, view, body: { ...body, root: view.base.root, height: view.base.height } };
  };
  return { ...tree, capture };
}

describe('a broken rule is noticed:', () => {
  const rules: [string, Partial<GarbageScheduleOptions>][] = [
    ['W1 the leader does not check the generation of a put', { wrap: unchecked }],
    ['W2 a sweep ignores the generation of the block', { bugs: { sweepIgnoresGeneration: true } }],
    ['W3 the roots are captured before the generation is chosen', { through: captureFirst }],
    ['W4 a touch marks nothing', { bugs: { touchDoesNothing: true } }],
  ];
  for (const [name, planted] of rules)
    test(name, { timeout: 600_000 }, async () => {
      assert.match((await caught(planted)) ?? 'not noticed', /lost|is nowhere|E1/);
    });
});
