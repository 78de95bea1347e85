// A hub that is asked anything, signed well, badly or not at all: it answers, never with 5xx, and serves others as before.

import { utf8 } from '../../src/core/base/bytes.ts';
import { limits } from '../../src/core/base/limits.ts';
import type { HubRequest } from '../../src/core/hub/hub.ts';
import { routes } from '../../src/core/hub/server/routes.ts';
import type { SeededRandom } from '../simulator/runtime/random.ts';
import {
  networkOf,
  nodePath,
  passportOf,
  person,
  publicKey,
  TestHub,
  userBody,
  volumeOf,
} from '../unit/hub/support.ts';
import { damage, type Fuzzer, fuzzer, mustBe, pick } from './fuzzer.ts';

const alice = person('alice');
const bob = person('bob');
const network = networkOf(alice, 'n');
const good: unknown[] = [
  network,
  networkOf(alice, 'n', { serial: 2, revoked: [{ user: publicKey(bob), through: 9 }] }),
  passportOf(alice, bob, network),
  volumeOf(alice, 'v', network.name),
  userBody(alice, {
    fullname: 'A',
    identity: { salt: 'c2FsdHNhbHRzYWx0c2FsdA==', scrypt_n: 131_072, login_key: publicKey(bob) },
  }),
  { salt: 'c2FsdHNhbHRzYWx0c2FsdA==', scrypt_n: 131_072, login_key: publicKey(bob), sealed: 'A'.repeat(80) },
  { addresses: ['192.0.2.1'], port: 1 },
  { capacity: 10, usage: 1 },
];
const segments = [
  'alice',
  'bob',
  'n',
  'v',
  nodePath,
  '__proto__',
  'constructor',
  'a%40example.org',
  '%00',
  '..',
  '%2e%2e',
  '%ff',
  '',
  '#',
];

let shared: Promise<TestHub> | undefined;

async function hubWithPeople(): Promise<TestHub> {
  const hub = await TestHub.open();
  await hub.enrol(alice, bob);
  await hub.must(201, alice, 'PUT', '/networks/alice/n', network);
  return hub;
}

function someBody(random: SeededRandom): Buffer {
  const body = utf8(JSON.stringify(mutated(random, pick(random, good))));
  if (random.chance(0.02)) return Buffer.alloc(limits.hubBodyBytesMax + 1, 0x20);
  return random.chance(0.3) ? damage(random, body) : body;
}

/** A field, somewhere, is something else, gone, or new. */
function mutated(random: SeededRandom, value: unknown): unknown {
  if (random.chance(0.1))
    return pick(random, [null, 0, -1, 2 ** 53, '', 'x'.repeat(300), [], {}, true, '\u0000', '\ud800', 1e300]);
  if (typeof value !== 'object' || value === null || random.chance(0.3)) return value;
  if (Array.isArray(value))
    return random.chance(0.2) ? Array(2000).fill(value[0]) : value.map((one) => mutated(random, one));
  const entries = Object.entries(value).filter(() => !random.chance(0.05));
  if (random.chance(0.05)) entries.push([pick(random, ['__proto__', 'extra', 'private_key', 'toString']), {}]);
  return Object.fromEntries(
    entries.map(([name, field]) => [name, random.chance(0.3) ? mutated(random, field) : field]),
  );
}

function somePath(random: SeededRandom): string {
  const { path } = pick(random, routes);
  const natural: Record<string, string> = { ':owner': 'alice', ':name': 'n', ':user': 'alice', ':node': nodePath };
  const parts = path.split('/').map((part) => {
    if (part.startsWith(':')) return random.chance(0.8) ? (natural[part] ?? 'x') : pick(random, segments);
    return random.chance(0.05) ? pick(random, segments) : part;
  });
  const query = random.chance(0.2) ? pick(random, ['?purge', '?purge=true', '?%ff', '?a=b&a=c', '??']) : '';
  return parts.join('/') + query;
}

function someRequest(hub: TestHub, random: SeededRandom): HubRequest {
  const method = random.chance(0.9) ? pick(random, routes).method : pick(random, ['PATCH', 'HEAD', 'get', 'TRACE']);
  const path = somePath(random);
  const type = pick(random, ['application/json', 'application/json; charset=utf-8', 'text/plain', 'image/png', '']);
  const changes = { body: someBody(random), headers: type === '' ? {} : { 'content-type': type } };
  if (random.chance(0.15)) return hub.request(method, path, undefined, changes);
  const signed = hub.signed(pick(random, [alice, alice, bob, person('carol')]), method, path, undefined, changes);
  if (random.chance(0.8)) return signed;
  const header = pick(random, ['infinit-user', 'infinit-time', 'infinit-nonce', 'infinit-signature']);
  const bad = random.chance(0.3) ? undefined : damage(random, utf8(signed.headers[header] ?? '')).toString('latin1');
  return { ...signed, headers: { ...signed.headers, [header]: bad } };
}

export const hubFuzzers: readonly Fuzzer[] = [
  fuzzer('hub requests', {
    inputs: 1500,
    make: async (random) => {
      shared ??= hubWithPeople();
      return { request: someRequest(await shared, random) };
    },
    check: async ({ request }) => {
      const hub = await (shared as Promise<TestHub>);
      // Rates are for another test.
      hub.nowMs += 2000;
      const { status, body } = await hub.send({ ...request });
      mustBe(status < 500, `${status} ${JSON.stringify(body)}; ${hub.logged.join('; ')}`);
      mustBe(status < 400 || typeof body.error === 'string', `${status} without an error`);
      mustBe((await hub.ask(undefined, 'GET', '/')).status === 200, 'others are not served');
    },
  }),
];
