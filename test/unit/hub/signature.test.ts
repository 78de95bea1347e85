import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { claimOf, isSignedBy, isTimely, nonceEndMs, signRequest } from '../../../src/core/hub/signature.ts';
import { person, start } from './support.ts';

const alice = person('alice');
const nonce = Buffer.alloc(16, 5);
const request = {
  method: 'PUT',
  host: 'hub.example.org',
  path: '/networks/alice/n',
  query: 'purge=true',
  body: Buffer.from('{}'),
};
const headers = signRequest(request, 'alice', alice.key, { nowMs: start, nonce });

describe('the signature of a request', () => {
  test('is verified with the key that made it, and only with that', () => {
    const claim = claimOf({ headers });
    assert.ok(claim);
    assert.deepEqual([claim.user, claim.timeS], ['alice', start / 1000]);
    assert.ok(isSignedBy(alice.key.publicKey, claim, request));
    assert.ok(!isSignedBy(person('bob').key.publicKey, claim, request));
  });

  test('covers method, host, path, query, body, time, nonce and user', () => {
    const changes = [
      { method: 'DELETE' },
      { host: 'other.example.org' },
      { path: '/networks/alice/m' },
      { query: '' },
      { body: Buffer.from('{ }') },
    ];
    const claim = claimOf({ headers });
    assert.ok(claim);
    for (const change of changes)
      assert.ok(!isSignedBy(alice.key.publicKey, claim, { ...request, ...change }), JSON.stringify(change));
    const others = [
      { 'infinit-time': String(start / 1000 + 1) },
      { 'infinit-nonce': Buffer.alloc(16, 6).toString('base64') },
      { 'infinit-user': 'bob' },
    ];
    for (const other of others) {
      const changed = claimOf({ headers: { ...headers, ...other } });
      assert.ok(changed && !isSignedBy(alice.key.publicKey, changed, request), JSON.stringify(other));
    }
  });

  test('parts cannot be moved into one another', () => {
    const claim = claimOf({ headers });
    assert.ok(claim);
    const moved = { ...request, path: '/networks/alice', query: '/npurge=true' };
    assert.ok(!isSignedBy(alice.key.publicKey, claim, moved));
  });

  test('headers that are no claim are refused, none at all are no claim', () => {
    assert.equal(claimOf({ headers: {} }), undefined);
    const bad: Record<string, string>[] = [
      { 'infinit-user': 'Alice' },
      { 'infinit-user': '' },
      { 'infinit-time': '-1' },
      { 'infinit-time': '1e3' },
      { 'infinit-nonce': 'AAAA' },
      { 'infinit-nonce': `${headers['infinit-nonce']}=` },
      { 'infinit-signature': 'AAAA' },
    ];
    for (const change of bad)
      assert.throws(
        () => claimOf({ headers: { ...headers, ...change } }),
        /missing or malformed/,
        JSON.stringify(change),
      );
  });

  test('is timely within five minutes either way, and its nonce is remembered for longer', () => {
    const claim = claimOf({ headers });
    assert.ok(claim);
    const minute = 60_000;
    for (const away of [0, 5 * minute, -5 * minute]) assert.ok(isTimely(claim, start + away));
    for (const away of [5 * minute + 1, -5 * minute - 1]) assert.ok(!isTimely(claim, start + away));
    assert.ok(!isTimely(claim, nonceEndMs(claim)));
  });
});
