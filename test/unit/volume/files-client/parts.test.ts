// The parts a client of the files view keeps data in: dirty ranges against bytes, room for them, times.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Clock } from '../../../../src/core/runtime/runtime.ts';
import { DirtyRanges } from '../../../../src/core/volume/files/dirty.ts';
import { Room } from '../../../../src/core/volume/files/room.ts';
import { FileTimes, isLater } from '../../../../src/core/volume/files/times.ts';
import { pattern } from './world.ts';

describe('dirty ranges', () => {
  const size = 200_000;
  const step = fc.oneof(
    fc.record({ what: fc.constant('add' as const), at: fc.nat(2000), length: fc.integer({ min: 1, max: 300 }) }),
    fc.record({ what: fc.constant('append' as const), at: fc.nat(1), length: fc.integer({ min: 1, max: 9000 }) }),
    fc.record({ what: fc.constant('remove' as const), at: fc.nat(2000), length: fc.nat(500) }),
    fc.record({ what: fc.constant('take' as const), at: fc.nat(20_000), length: fc.constant(0) }),
  );

  test('are what a plain array would be; what was handed out never changes', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const ranges = new DirtyRanges();
        const bytes = new Uint8Array(size);
        const held = new Uint8Array(size);
        const seen: { bytes: Uint8Array; copy: Buffer }[] = [];
        const clear = (from: number, to: number) => held.fill(0, from, to);
        for (const [i, { what, at, length }] of steps.entries()) {
          const offset = what === 'append' ? ranges.end : at;
          if (what === 'remove') {
            const before = ranges.bytes;
            assert.equal(ranges.remove(at, at + length), before - ranges.bytes);
            clear(at, at + length);
          } else if (what === 'take') {
            for (const piece of ranges.take(at)) {
              assert.ok(piece.offset + piece.bytes.length <= at);
              assert.ok(
                Buffer.from(piece.bytes).equals(bytes.subarray(piece.offset, piece.offset + piece.bytes.length)),
              );
            }
            clear(0, at);
          } else if (offset + length < size) {
            const data = pattern(length, i);
            const before = ranges.bytes;
            assert.equal(ranges.add(offset, data), ranges.bytes - before);
            bytes.set(data, offset);
            held.fill(1, offset, offset + length);
          }
          check(ranges, bytes, held);
          for (const piece of ranges.within(0, size)) seen.push({ bytes: piece.bytes, copy: Buffer.from(piece.bytes) });
        }
        for (const piece of seen) assert.ok(piece.copy.equals(piece.bytes));
      }),
      { numRuns: 60 },
    );
  });

  function check(ranges: DirtyRanges, bytes: Uint8Array, held: Uint8Array): void {
    let at = 0;
    let count = 0;
    for (const piece of ranges.within(0, size)) {
      assert.ok(piece.offset >= at && piece.bytes.length > 0);
      assert.ok(!held.subarray(at, piece.offset).includes(1));
      at = piece.offset + piece.bytes.length;
      assert.ok(!held.subarray(piece.offset, at).includes(0));
      assert.ok(Buffer.from(piece.bytes).equals(bytes.subarray(piece.offset, at)));
      count += piece.bytes.length;
    }
    assert.ok(!held.subarray(at).includes(1));
    assert.equal(ranges.bytes, count);
    assert.equal(ranges.end, at);
  }

  test('keep the memory they are given, gather small pieces, and let go of large frames', () => {
    const ranges = new DirtyRanges();
    const page = pattern(16_384);
    ranges.add(0, page);
    assert.equal(ranges.within(0, 16_384)[0]?.bytes.buffer, page.buffer);
    for (let i = 0; i < 1000; i++) ranges.add(100_000 + i * 10, pattern(10, i));
    assert.equal(ranges.count, 2);
    const frame = Buffer.alloc(2 ** 20);
    ranges.add(500_000, frame.subarray(1000, 5096));
    assert.notEqual(ranges.within(500_000, 500_001)[0]?.bytes.buffer, frame.buffer);
  });

  test('find where data without a gap begins', () => {
    const ranges = new DirtyRanges();
    for (const at of [0, 20_000, 40_000, 70_000]) ranges.add(at, pattern(20_000));
    assert.equal(ranges.runStart(60_000), 0);
    assert.equal(ranges.runStart(90_000), 70_000);
    assert.equal(ranges.runStart(65_000), 65_000);
  });
});

describe('room', () => {
  test('is given in order, to one that waits even before smaller ones', async () => {
    const room = new Room(100);
    assert.ok(room.tryTake(60));
    const order: string[] = [];
    const large = room.take(80).then(() => order.push('large'));
    assert.equal(room.tryTake(10), false, 'nobody passes');
    const small = room.take(10).then(() => order.push('small'));
    room.give(60);
    await Promise.all([large, small]);
    assert.deepEqual(order, ['large', 'small']);
    assert.equal(room.used, 90);
  });

  test('for more than there ever is, when nothing else is there', async () => {
    const room = new Room(100);
    assert.ok(room.tryTake(1));
    const huge = room.take(1000);
    room.give(1);
    await huge;
    assert.equal(room.used, 1000);
  });

  test('is passed on by one who gives up', async () => {
    const room = new Room(100);
    assert.ok(room.tryTake(90));
    const abort = new AbortController();
    const gone = room.take(50, { signal: abort.signal });
    const next = room.take(10);
    abort.abort();
    await assert.rejects(gone, { kind: 'cancelled' });
    await next;
    assert.equal(room.used, 100);
  });
});

describe('times of a client', () => {
  test('never stand still or go back, unless the clock was set', () => {
    let now = 1_700_000_000_123;
    const times = new FileTimes({ now: () => now } as Clock);
    let last = times.now();
    assert.deepEqual(last, { seconds: 1_700_000_000, nanoseconds: 123_000_000 });
    for (const step of [0, 0, 1, -5, 3, 0, 900, -700]) {
      now += step;
      const next = times.now();
      assert.ok(isLater(next, last), `step ${step}`);
      last = next;
    }
    now -= 3_600_000;
    assert.ok(isLater(last, times.now()), 'an hour back is followed');
    now = -500;
    assert.deepEqual(times.now(), { seconds: -1, nanoseconds: 500_000_000 });
  });
});
