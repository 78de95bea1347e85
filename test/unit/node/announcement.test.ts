import assert from 'node:assert/strict';
import { test } from 'node:test';
import { announcedHosts, isLocalAddress } from '../../../src/core/node/announcement.ts';
import { formatEndpoint, parseEndpoint } from '../../../src/core/runtime/endpoint.ts';

test('addresses of local networks are told from public ones', () => {
  for (const host of [
    '10.1.2.3',
    '127.0.0.1',
    '172.16.0.1',
    '172.31.9.9',
    '192.168.1.1',
    '169.254.1.1',
    '100.64.0.1',
  ]) {
    assert.ok(isLocalAddress(host), host);
  }
  for (const host of ['::1', 'fd00::2', 'fc00::1', 'fe80::1', 'FEBF::1']) assert.ok(isLocalAddress(host), host);
  for (const host of ['8.8.8.8', '172.32.0.1', '192.0.2.2', '100.128.0.1', '2001:db8::1', 'example.org']) {
    assert.ok(!isLocalAddress(host), host);
  }
});

test('hosts given come first, own addresses follow unless left out, each once', () => {
  const own = ['192.168.1.5', '203.0.113.7'];
  assert.deepEqual(announcedHosts(own), own);
  assert.deepEqual(announcedHosts(own, { noLocal: true }), ['203.0.113.7']);
  assert.deepEqual(announcedHosts(own, { noPublic: true }), ['192.168.1.5']);
  assert.deepEqual(announcedHosts(own, { hosts: ['a.example', '203.0.113.7'] }), [
    'a.example',
    '203.0.113.7',
    '192.168.1.5',
  ]);
  assert.deepEqual(announcedHosts(own, { noLocal: true, noPublic: true }), []);
  assert.equal(announcedHosts(Array.from({ length: 20 }, (_, i) => `h${i}`)).length, 8);
});

test('endpoints as text, and what is none', () => {
  for (const text of ['127.0.0.1:80', 'host.example:65535', '[::1]:4242', '[fe80::1%eth0]:1']) {
    assert.equal(formatEndpoint(parseEndpoint(text)), text);
  }
  for (const text of ['', 'host', 'host:', ':80', 'host:65536', '::1:80', 'a b:80', 'host:80:90', '[::1]']) {
    assert.throws(() => parseEndpoint(text), /not an endpoint/);
  }
});
