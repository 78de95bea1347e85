// Messages and answers of routers, well-formed and not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isError } from '../../../../src/core/base/errors.ts';
import { Epoch } from '../../../../src/core/node/port-mapping/epoch.ts';
import { decodeNatPmp, encodeNatPmpMap } from '../../../../src/core/node/port-mapping/nat-pmp-message.ts';
import { decodePcp, encodePcpAnnounce, encodePcpMap } from '../../../../src/core/node/port-mapping/pcp-message.ts';
import { isOwnRouter } from '../../../../src/core/node/port-mapping/protocol.ts';
import { decodeLocation, encodeSearches } from '../../../../src/core/node/port-mapping/ssdp-message.ts';
import { elementsOf, parseXml, textOf } from '../../../../src/core/node/port-mapping/xml.ts';
import { defaultRoute } from '../../../../src/core/runtime/system/router.ts';

const corrupt = (error: unknown) => isError(error, 'corrupt');

test('PCP as in RFC 6887: requests, answers, refusals of an older router', () => {
  const nonce = Buffer.from('0102030405060708090a0b0c', 'hex');
  const request = { own: '192.168.1.7', nonce, port: 4242, externalPort: 4243, lifetimeSeconds: 1200 };
  const head = '0201000000 0004b0 00000000000000000000ffffc0a80107'.replaceAll(' ', '');
  const body = '0102030405060708090a0b0c 06000000 1092 1093 00000000000000000000ffff00000000'.replaceAll(' ', '');
  assert.equal(encodePcpMap(request).toString('hex'), head + body);
  assert.equal(
    encodePcpAnnounce('192.168.1.7').toString('hex'),
    '02000000000000000000000000000000' + '0000ffffc0a80107',
  );
  const answer = Buffer.from(
    `02810000000004b00000000700000000000000000000000${'0'}${body.slice(0, 40)}00000000000000000000ffffcb007109`,
    'hex',
  );
  const map = { nonce, port: 4242, externalPort: 4243, external: '203.0.113.9' };
  assert.deepEqual(decodePcp(answer), { result: 0, lifetimeSeconds: 1200, epochSeconds: 7, map });
  answer.fill(0x20, 44, 48);
  assert.equal(decodePcp(answer).map?.external, '');
  assert.deepEqual(decodePcp(Buffer.from('0080000100000005', 'hex')).result, 1);
  for (let length = 0; length < answer.length; length++)
    if (length !== 0) assert.throws(() => decodePcp(answer.subarray(0, length)), corrupt, `${length}`);
});

test('NAT-PMP as in RFC 6886', () => {
  const mapping = { port: 4242, externalPort: 4243, lifetimeSeconds: 1200 };
  assert.equal(encodeNatPmpMap(mapping).toString('hex'), '0002000010921093000004b0');
  const answer = Buffer.from('00820000000000071092109300000014', 'hex');
  assert.deepEqual(decodeNatPmp(answer), {
    ...{ operation: 'map', result: 0, epochSeconds: 7 },
    mapping: { ...mapping, lifetimeSeconds: 20 },
  });
  assert.equal(decodeNatPmp(Buffer.from('0080000000000007cb007109', 'hex')).external, '203.0.113.9');
  assert.equal(decodeNatPmp(Buffer.from('0082000200000007', 'hex')).result, 2);
  for (let length = 0; length < answer.length; length++)
    assert.throws(() => decodeNatPmp(answer.subarray(0, length)), corrupt, `${length}`);
});

test('a router is looked for, and says where it describes itself', () => {
  const [search] = encodeSearches();
  assert.match(String(search), /^M-SEARCH \* HTTP\/1\.1\r\n(?:[\w-]+: .+\r\n)+\r\n$/);
  const answer = (kind: string) =>
    Buffer.from(`HTTP/1.1 200 OK\r\nlocation:http://10.0.0.1/x\r\nST:  ${kind}\r\nnothing\r\n\r\n`);
  const kind = 'urn:schemas-upnp-org:device:InternetGatewayDevice:1';
  assert.equal(decodeLocation(answer(kind)), 'http://10.0.0.1/x');
  assert.equal(decodeLocation(answer('upnp:rootdevice')), undefined);
  assert.throws(() => decodeLocation(Buffer.from('NOTIFY * HTTP/1.1\r\n\r\n')), corrupt);
  assert.throws(() => decodeLocation(Buffer.alloc(5000, answer(kind))), corrupt);
});

test('XML is read as far as routers need it, and no further', () => {
  const text = `<?xml version="1.0"?><!-- a > b --><s:a xmlns:s="x>y" b='<'><c> 1 &amp;lt; 2 </c><c/><d><c><![CDATA[<&>]]></c></d></s:a>\n`;
  const root = parseXml(text);
  assert.equal(root.name, 'a');
  assert.deepEqual(
    elementsOf(root, 'c').map((one) => one.text),
    [' 1 &lt; 2 ', '', '<&>'],
  );
  assert.equal(textOf(root, 'c'), '1 &lt; 2');
  assert.equal(textOf(root, 'e'), undefined);
  const bad = [
    '',
    'text',
    '<a>',
    '<a></b>',
    '</a>',
    '<a/><b/>',
    '<a',
    '<a b="></a>',
    '<!-- ',
    '<a><![CDATA[</a>',
    '<!DOCTYPE a [<!ENTITY b "cccc">]><a>&b;</a>',
    '<>',
    '<a>'.repeat(40) + '</a>'.repeat(40),
    `<a>${'<b/>'.repeat(5000)}</a>`,
  ];
  for (const one of bad) assert.throws(() => parseXml(one), corrupt, one.slice(0, 40));
});

test('the clock of a router that went on, was set back, jumped, or stood', () => {
  const seen = (...heard: [seconds: number, atMs: number][]) => {
    const epoch = new Epoch();
    return heard.map(([seconds, atMs]) => epoch.hasBegunAnew(seconds, atMs));
  };
  assert.deepEqual(seen([100, 0], [160, 60_000], [159, 60_000], [222, 120_000]), [false, false, false, false]);
  assert.deepEqual(seen([100, 0], [5, 60_000]), [false, true]);
  assert.deepEqual(seen([100, 0], [1000, 60_000]), [false, true]);
  assert.deepEqual(seen([100, 0], [101, 60_000]), [false, true]);
});

test('the route to everywhere, of several the nearest', () => {
  const table = (...routes: string[]) =>
    ['Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT', ...routes, ''].join('\n');
  const local = 'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0';
  const route = (name: string, gateway: string, flags: string, metric: number) =>
    `${name}\t00000000\t${gateway}\t${flags}\t0\t0\t${metric}\t00000000\t0\t0\t0   `;
  const bytes = Buffer.from(Uint32Array.of(0x0101a8c0).buffer);
  const address = [...bytes].join('.');
  const found = defaultRoute(
    table(local, route('wlan0', '0201A8C0', '0003', 600), route('eth0', '0101A8C0', '0003', 100)),
  );
  assert.deepEqual([found?.name, found?.address], ['eth0', address]);
  assert.equal(defaultRoute(table(local)), undefined);
  assert.equal(defaultRoute(table(route('tun0', '00000000', '0001', 0))), undefined);
  assert.equal(defaultRoute(''), undefined);
});

test('ports are asked of routers of local networks', () => {
  assert.ok(isOwnRouter({ address: '192.168.1.1', own: '192.168.1.2' }));
  assert.ok(isOwnRouter({ address: '10.0.0.1', own: '10.1.0.2' }));
  for (const [address, own] of [
    ['192.0.2.1', '192.0.2.2'],
    ['8.8.8.1', '10.0.0.2'],
    ['127.0.0.1', '127.0.0.2'],
    ['10.0.0.2', '10.0.0.2'],
  ] as const)
    assert.ok(!isOwnRouter({ address, own }), address);
});
