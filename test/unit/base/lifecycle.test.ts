import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asError, errorKinds, InfinitError, isError, assert as ours } from '../../../src/core/base/errors.ts';
import { Events } from '../../../src/core/base/events.ts';
import { checkSignal, deferred, KeyedMutex, Mutex, Semaphore } from '../../../src/core/base/lifecycle.ts';

const tick = () => new Promise((resolve) => setImmediate(resolve));

test('a mutex runs tasks in order, one at a time, past failures', async () => {
  const mutex = new Mutex();
  const order: string[] = [];
  const gate = deferred();
  const first = mutex.run(async () => {
    await gate.promise;
    order.push('first');
    throw new Error('fails');
  });
  const second = mutex.run(() => order.push('second'));
  await tick();
  assert.deepEqual(order, []);
  gate.resolve();
  await assert.rejects(first, /fails/);
  await second;
  assert.deepEqual(order, ['first', 'second']);
});

test('a mutex refuses more waiting tasks than its limit', async () => {
  const mutex = new Mutex(2);
  const gate = deferred();
  const running = [mutex.run(() => gate.promise), mutex.run(() => gate.promise)];
  await assert.rejects(
    mutex.run(() => {}),
    (error: unknown) => isError(error, 'full'),
  );
  gate.resolve();
  await Promise.all(running);
  await mutex.run(() => {});
});

test('keyed mutexes serialise a key and nothing else', async () => {
  const locks = new KeyedMutex();
  const gate = deferred();
  const order: string[] = [];
  const slow = locks.run('a', async () => {
    await gate.promise;
    order.push('a1');
  });
  const behind = locks.run('a', () => order.push('a2'));
  await locks.run('b', () => order.push('b'));
  assert.deepEqual(order, ['b']);
  gate.resolve();
  await Promise.all([slow, behind]);
  assert.deepEqual(order, ['b', 'a1', 'a2']);
});

test('a semaphore lets so many in, and frees its place on failure', async () => {
  const semaphore = new Semaphore(2);
  let running = 0;
  let most = 0;
  const task = async () => {
    most = Math.max(most, ++running);
    await tick();
    running--;
    throw new Error('fails');
  };
  const outcomes = await Promise.allSettled(Array.from({ length: 9 }, () => semaphore.run(task)));
  assert.equal(most, 2);
  assert.ok(outcomes.every((outcome) => outcome.status === 'rejected'));
  assert.equal(await semaphore.run(() => 7), 7);
});

test('a fired signal is a typed error, with its reason when that is one', () => {
  const plain = new AbortController();
  checkSignal(plain.signal);
  plain.abort();
  assert.throws(
    () => checkSignal(plain.signal),
    (error: unknown) => isError(error, 'cancelled'),
  );
  const told = new AbortController();
  told.abort(new InfinitError('unavailable', 'late'));
  assert.throws(
    () => checkSignal(told.signal),
    (error: unknown) => isError(error, 'unavailable'),
  );
});

test('events reach listeners in order until they are taken off', () => {
  const events = new Events<{ changed: number }>();
  const seen: string[] = [];
  const off = events.on('changed', (value) => seen.push(`a${value}`));
  events.on('changed', (value) => seen.push(`b${value}`));
  events.emit('changed', 1);
  off();
  events.emit('changed', 2);
  assert.deepEqual(seen, ['a1', 'b1', 'b2']);
});

test('foreign errors become internal and keep their cause; kinds do not move', () => {
  const cause = new TypeError('x is not a function');
  const error = asError(cause);
  assert.equal(error.kind, 'internal');
  assert.equal(error.cause, cause);
  assert.equal(asError(error), error);
  assert.throws(
    () => ours(false, 'never'),
    (thrown: unknown) => isError(thrown, 'internal'),
  );
  // The index travels on the wire: append only.
  assert.deepEqual(errorKinds.slice(0, 6), ['usage', 'not-found', 'exists', 'denied', 'conflict', 'unavailable']);
  assert.deepEqual(errorKinds.slice(6), ['corrupt', 'full', 'unsupported', 'cancelled', 'lost', 'internal']);
});
