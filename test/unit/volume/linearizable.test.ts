// The checker itself: it accepts what some order explains, and nothing else.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { findViolation, type Operation } from '../../simulator/linearizable.ts';

const never = Number.POSITIVE_INFINITY;
const op = (type: Operation['type'], call: number, end: number, rest: Partial<Operation> = {}): Operation => ({
  key: 'k',
  type,
  call,
  end,
  ...rest,
});

describe('linearizability checker', () => {
  test('sequential histories', () => {
    const good = [
      op('get', 0, 1, { result: undefined }),
      op('put', 2, 3, { value: 'a' }),
      op('get', 4, 5, { result: 'a' }),
      op('cas', 6, 7, { expected: 'a', value: 'b', result: true }),
      op('cas', 8, 9, { expected: 'a', value: 'c', result: false }),
      op('delete', 10, 11, { result: true }),
      op('delete', 12, 13, { result: false }),
    ];
    assert.equal(findViolation(good), undefined);
    for (let i = 0; i < good.length; i++) {
      const one = good[i] as Operation;
      if (one.type === 'put') continue;
      const wrong = one.type === 'get' ? 'other' : !one.result;
      const bad = good.map((each, j) => (i === j ? { ...each, result: wrong } : each));
      assert.notEqual(findViolation(bad), undefined, `answer ${i} falsified`);
    }
  });

  test('a stale read, and a read that goes back, are found', () => {
    assert.ok(findViolation([op('put', 0, 1, { value: 'a' }), op('get', 2, 3, { result: undefined })]));
    const write = op('put', 0, 10, { value: 'a' });
    const seen = op('get', 1, 2, { result: 'a' });
    assert.ok(findViolation([write, seen, op('get', 3, 4, { result: undefined })]));
    assert.equal(
      findViolation([write, op('get', 1, 2, { result: undefined }), op('get', 3, 4, { result: 'a' })]),
      undefined,
    );
  });

  test('an unanswered write may have happened, late or never, but not twice', () => {
    const lost = op('put', 0, never, { value: 'a' });
    const other = op('put', 1, 2, { value: 'b' });
    const read = (call: number, result: string | undefined) => op('get', call, call + 1, { result });
    assert.equal(findViolation([lost, read(5, undefined)]), undefined);
    assert.equal(findViolation([lost, other, read(5, 'b'), read(7, 'a'), read(9, 'a')]), undefined);
    assert.ok(findViolation([lost, other, read(5, 'b'), read(7, 'a'), read(9, 'b')]));
    const twice = [op('cas', 0, 9, { value: 'x', result: true }), op('cas', 0, 9, { value: 'y', result: true })];
    assert.ok(findViolation(twice));
  });

  test('agrees with trying every order, on small histories', () => {
    const value = fc.constantFrom('a', 'b', 'c');
    const maybe = fc.option(value, { nil: undefined });
    const operation = fc
      .record({
        type: fc.constantFrom('put' as const, 'get' as const, 'delete' as const, 'cas' as const),
        call: fc.nat(12),
        length: fc.nat(6),
        open: fc.nat(3),
        value,
        expected: maybe,
        read: maybe,
        happened: fc.boolean(),
      })
      .map(({ type, call, length, open, expected, read, happened, value: written }): Operation => {
        const end = open === 0 ? never : call + 1 + length;
        return op(type, call, end, { value: written, expected, result: type === 'get' ? read : happened });
      });
    let violations = 0;
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 6 }), (history) => {
        const found = findViolation(history) !== undefined;
        if (found) violations++;
        assert.equal(found, !someOrderExplains(history, undefined));
      }),
      { numRuns: 3000 },
    );
    assert.ok(violations > 100, `only ${violations} of the histories were violations`);
  });

  test('a long violated history with unanswered writes is judged, not searched for ever', () => {
    const history = Array.from({ length: 6 }, (_, i) => op('put', i, never, { value: `u${i}` }));
    for (let i = 0, at = 10; i < 500; i++, at += 4) {
      history.push(op('put', at, at + 5, { value: `v${i}` }), op('get', at + 1, at + 6, { result: `v${i}` }));
    }
    assert.equal(findViolation(history), undefined);
    history.push(op('get', 5000, 5001, { result: 'never written' }));
    assert.ok(findViolation(history));
  });
});

/** The dumb way: every operation next that real time allows, unanswered ones also never. */
function someOrderExplains(left: readonly Operation[], state: string | undefined): boolean {
  if (left.every((one) => one.end === never)) return true;
  const earliestEnd = Math.min(...left.map((one) => one.end));
  return left.some((one, i) => {
    if (one.call > earliestEnd) return false;
    const unknown = one.end === never;
    let next: string | undefined = state;
    if (one.type === 'get' && !unknown && one.result !== state) return false;
    if (one.type === 'put') next = one.value;
    if (one.type === 'delete') {
      if (!unknown && one.result !== (state !== undefined)) return false;
      next = undefined;
    }
    if (one.type === 'cas') {
      if (!unknown && one.result !== (state === one.expected)) return false;
      if (state === one.expected) next = one.value;
    }
    return someOrderExplains([...left.slice(0, i), ...left.slice(i + 1)], next);
  });
}
