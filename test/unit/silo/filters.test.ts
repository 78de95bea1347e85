import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limits } from '../../../src/core/base/limits.ts';
import { passphraseCheck, passphraseKey } from '../../../src/core/crypto/passphrase.ts';
import { cryptSilo } from '../../../src/core/silo/filters/crypt.ts';
import { faultySilo } from '../../../src/core/silo/filters/faulty.ts';
import { latencySilo } from '../../../src/core/silo/filters/latency.ts';
import { openMemorySilo } from '../../../src/core/silo/memory.ts';
import { openSilo } from '../../../src/core/silo/registry.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';
import { fails, keyOf } from '../../conformance/silo.ts';
import { siloRuntime } from './runtime.ts';

const runtime = siloRuntime();
const memory = (): Silo => openMemorySilo({ type: 'memory' }, runtime, 128);

describe('crypt', () => {
  const key = Buffer.alloc(32, 3);
  const plain = Buffer.from('the very words that must not be read '.repeat(50));

  it('leaves nothing readable with the silo it wraps, and two sealings of one value differ', async () => {
    const inner = memory();
    const silo = cryptSilo(inner, key, runtime.random);
    await silo.put('register', keyOf(1), plain);
    const first = await inner.get('register', keyOf(1));
    assert.ok(!first.includes('words'));
    await silo.put('register', keyOf(1), plain);
    assert.ok(!first.equals(await inner.get('register', keyOf(1))));
    assert.ok(plain.equals(await silo.get('register', keyOf(1))));
  });

  it('finds every changed bit, and a value moved to another place', async () => {
    const inner = memory();
    const silo = cryptSilo(inner, key, runtime.random);
    await silo.put('block', keyOf(1), plain);
    const stored = await inner.get('block', keyOf(1));
    for (const at of [0, 5, 13, 200, stored.length - 1]) {
      const changed = Buffer.from(stored);
      changed[at] = (changed[at] as number) ^ 1;
      await inner.put('block', keyOf(1), changed);
      await fails('corrupt', silo.get('block', keyOf(1)));
      await fails('corrupt', silo.verify('block', keyOf(1)));
    }
    await inner.put('block', keyOf(2), stored);
    await inner.put('meta', keyOf(1), stored);
    await fails('corrupt', silo.get('block', keyOf(2)));
    await fails('corrupt', silo.get('meta', keyOf(1)));
  });

  it('reads ranges far into a value as from its start', async () => {
    const silo = cryptSilo(memory(), key, runtime.random);
    const value = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7) % 253));
    await silo.put('block', keyOf(1), value);
    for (const [offset, length] of [
      [70_000, 100],
      [131_071, 33],
      [199_990, 100],
      [65_537, 134_463],
    ] as const)
      assert.ok(
        value.subarray(offset, offset + length).equals(await silo.getRange('block', keyOf(1), offset, length)),
        `${offset}, ${length}`,
      );
  });

  it('keeps the largest value there is, also when what it wraps is spread over several silos', async () => {
    const salt = Buffer.alloc(32, 1);
    const config = {
      type: 'crypt',
      account: 'disk',
      salt: salt.toString('base64'),
      check: passphraseCheck(await passphraseKey('right one', salt)).toString('base64'),
      backend: [{ type: 'strip', backend: [{ type: 'memory' }, { type: 'memory' }] }],
    };
    const silo = await openSilo(config, runtime, { secrets: async () => ({ passphrase: 'right one' }) });
    const largest = Buffer.alloc(limits.siloValueBytesMax, 7);
    await silo.put('block', keyOf(1), largest);
    assert.ok(largest.equals(await silo.get('block', keyOf(1))));
    await silo.close();
  });

  it('names what to do about a wrong passphrase', async () => {
    const salt = Buffer.alloc(32, 1);
    const config = {
      type: 'crypt',
      account: 'disk',
      salt: salt.toString('base64'),
      check: passphraseCheck(await passphraseKey('right one', salt)).toString('base64'),
      backend: [{ type: 'memory' }],
    };
    const opening = (passphrase: string) => openSilo(config, runtime, { secrets: async () => ({ passphrase }) });
    await (await opening('right one')).close();
    await assert.rejects(opening('wrong one'), (error: { kind: string; hint: string }) => {
      assert.equal(error.kind, 'denied');
      assert.equal(error.hint, 'infinit credentials add --crypt disk --replace');
      return true;
    });
  });
});

describe('latency', () => {
  it('makes calls take longer, and nothing out of order', async () => {
    const silo = latencySilo(memory(), runtime.clock, { getMs: 30, putMs: 50 });
    const start = runtime.clock.monotonic();
    await Promise.all([1, 2, 3].map((n) => silo.put('meta', keyOf('m'), Buffer.of(n))));
    const written = runtime.clock.monotonic();
    assert.deepEqual([...(await silo.get('meta', keyOf('m')))], [3]);
    const read = runtime.clock.monotonic();
    assert.ok(written - start >= 49 && read - written >= 29, `${written - start}, ${read - written}`);
  });
});

describe('faulty', () => {
  it('damages as many reads as it was told to, and never what is kept', async () => {
    const inner = memory();
    const silo = faultySilo(inner, runtime.random, { corruptEvery: 4, breakAfter: undefined });
    await silo.put('block', keyOf(1), Buffer.from('whole'));
    const reads = await Promise.allSettled(Array.from({ length: 2000 }, () => silo.get('block', keyOf(1))));
    const damaged = reads.filter(({ status }) => status === 'rejected').length;
    assert.ok(damaged > 350 && damaged < 650, `${damaged} of 2000`);
    assert.equal((await inner.get('block', keyOf(1))).toString(), 'whole');
  });

  it('breaks for good after so many changes, and goes on reading', async () => {
    const silo = faultySilo(memory(), runtime.random, { corruptEvery: undefined, breakAfter: 2 });
    await silo.put('block', keyOf(1), Buffer.from('one'));
    await silo.delete('block', keyOf(2));
    for (let i = 0; i < 3; i++) await fails('unavailable', silo.put('block', keyOf(3), Buffer.from('late')));
    assert.equal((await silo.get('block', keyOf(1))).toString(), 'one');
  });
});
