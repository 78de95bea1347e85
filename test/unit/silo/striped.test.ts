// How several silos share the blocks of one node.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openMemorySilo } from '../../../src/core/silo/memory.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';
import { stripedSilo } from '../../../src/core/silo/striped.ts';
import { fails, keyOf, keysOf } from '../../conformance/silo.ts';
import { siloRuntime } from './runtime.ts';

function memory(capacity: number): Silo {
  return openMemorySilo({ type: 'memory', capacity }, siloRuntime());
}

describe('striped silo', () => {
  it('spreads blocks by capacity and keeps the rest in the first', async () => {
    const parts = [memory(1_000_000), memory(3_000_000)];
    const silo = stripedSilo(parts);
    for (let i = 0; i < 2000; i++) await silo.put('block', keyOf(i), Buffer.alloc(10));
    for (let i = 0; i < 50; i++) await silo.put('register', keyOf(i), Buffer.alloc(10));
    const blocks = parts.map((part) => part.usage().blocks);
    assert.ok(Math.abs((blocks[1] ?? 0) - 1500) < 120, `of 2000 blocks the larger silo has ${blocks[1]}`);
    assert.equal(parts[1]?.usage().entries, blocks[1]);
    assert.deepEqual(silo.storeId, parts[0]?.storeId);
    assert.equal((await keysOf(silo, 'block')).length, 2000);
  });

  it('finds what it had after a silo was added, and replaces it in place', async () => {
    const old = memory(1_000_000);
    for (let i = 0; i < 100; i++) await old.put('block', keyOf(i), Buffer.from(`${i}`));
    const silo = stripedSilo([old, memory(9_000_000)]);
    for (let i = 0; i < 100; i++) assert.equal((await silo.get('block', keyOf(i))).toString(), `${i}`);
    for (let i = 0; i < 100; i++) await silo.put('block', keyOf(i), Buffer.from('new'));
    assert.equal(silo.usage().blocks, 100);
    for (let i = 0; i < 100; i++) await silo.delete('block', keyOf(i));
    assert.equal(silo.usage().entries, 0);
  });

  it('is full only when all its silos are', async () => {
    const silo = stripedSilo([memory(10_000), memory(1_000_000)]);
    let kept = 0;
    for (; kept < 300 && silo.usage().freeBytes > 6000; kept++)
      await silo.put('block', keyOf(kept), Buffer.alloc(5000));
    assert.ok(kept > 190, `only ${kept} blocks of 5000 bytes in 1 010 000`);
    for (let i = 300; i < 303; i++) await silo.put('block', keyOf(i), Buffer.alloc(4900)).catch(() => {});
    await fails('full', silo.put('block', keyOf(999), Buffer.alloc(5000)));
  });
});
