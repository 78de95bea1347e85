import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientOf, Rates } from '../../../src/core/hub/server/rates.ts';

test('a burst, then so many a second, each client on its own', () => {
  const rates = new Rates({ burst: 3, perSecond: 2 });
  for (let i = 0; i < 3; i++) assert.equal(rates.take('a', 0), 0);
  assert.equal(rates.take('a', 0), 500);
  assert.equal(rates.take('b', 0), 0);
  assert.equal(rates.take('a', 250), 250);
  assert.equal(rates.take('a', 500), 0);
  assert.notEqual(rates.take('a', 500), 0);
  for (let i = 0; i < 3; i++) assert.equal(rates.take('a', 100_000), 0);
  assert.notEqual(rates.take('a', 100_000), 0);
});

test('addresses of one person are one client', () => {
  assert.equal(clientOf('192.0.2.7'), '192.0.2.7');
  assert.equal(clientOf('::ffff:192.0.2.7'), '192.0.2.7');
  assert.equal(clientOf('2001:db8:1:2:3:4:5:6'), clientOf('2001:db8:1:2::9'));
  assert.notEqual(clientOf('2001:db8:1:2::9'), clientOf('2001:db8:1:3::9'));
  assert.equal(clientOf('::1'), '0:0:0:0');
});
