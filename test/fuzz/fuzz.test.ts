// Each fuzzer with a fixed number of seeded inputs; `npm run fuzz` tries more.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { canary } from './canary.ts';
import { codecFuzzers, methods } from './codecs.ts';
import { type Fuzzer, tryInput, Violation } from './fuzzer.ts';
import { fuzzers } from './table.ts';

async function tryAll(subject: Fuzzer): Promise<void> {
  for (let seed = 1; seed <= subject.inputs; seed++) await tryInput(subject, seed);
}

describe('hostile input', () => {
  test('codecs of everything on the wire', async () => {
    for (const subject of codecFuzzers) await tryAll(subject);
  });

  for (const subject of fuzzers.filter((one) => !codecFuzzers.includes(one))) test(subject.name, () => tryAll(subject));
});

describe('the fuzzing', () => {
  test('finds a planted bug, and the seed shows it again', async () => {
    const violation = await tryAll(canary).then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.ok(violation instanceof Violation);
    const seed = Number(/seed (\d+)/.exec(violation.message)?.[1]);
    await assert.rejects(tryInput(canary, seed), { message: violation.message });
  });

  test('knows the methods of every layer, and names are told apart', () => {
    const names = methods.map(({ name }) => name);
    assert.deepEqual([...new Set(names)], names);
    for (const prefix of ['block.', 'jnl.', 'kv.', 'passport.', 'reg.', 'ring.', 'tree.'])
      assert.ok(
        names.some((name) => name.startsWith(prefix)),
        `no method ${prefix}*`,
      );
    const subjects = fuzzers.map(({ name }) => name);
    assert.deepEqual([...new Set(subjects)], subjects);
  });
});
