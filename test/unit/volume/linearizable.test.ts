// The checker itself: it accepts what some order explains, and nothing else.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
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
});
