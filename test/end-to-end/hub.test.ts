// People who meet at a hub: sign up, share a network and a volume, find each other's nodes, log in elsewhere. And a hub killed while
// clients leave things there: what it acknowledged it has when it is back.

import assert from 'node:assert/strict';
import { get } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { HubClient } from '../../src/core/hub/client/client.ts';
import { httpConnection } from '../../src/core/hub/client/http.ts';
import { signRequest } from '../../src/core/hub/signature.ts';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import { noPostgres, PostgresServer } from '../fakes/postgres.ts';
import { networkOf, type Person, passportOf, person, userBody, volumeOf } from '../unit/hub/support.ts';
import { type Device, eventually, Lab, type Running, shell } from './device.ts';
import { Hub } from './hub.ts';
import { cannotMount, mountOn } from './volume.ts';

const findMs = 60_000;
const words = (line: string) => line.split(' ');

describe('two people with a hub', { timeout: 300_000 }, () => {
  const lab = new Lab();
  const hub = new Hub(lab);
  let alice: Device;
  let bob: Device;
  let node: Running;

  before(async () => {
    await hub.start();
    alice = lab.device('alice', 'alice');
    bob = lab.device('bob', 'bob');
    for (const device of [alice, bob]) device.environment = hub.environment;
  });
  after(() => lab.close());

  test('alice signs up, makes a network and a volume, and runs', async () => {
    assert.equal(
      await alice.run(words('user signup --name alice --email alice@example.org --full'), 'correct horse\n'),
      'Generating Ed25519 keypair.\nLocally saved identity for user "alice".\nRemotely created identity for user "alice".',
    );
    await alice.run(words('silo create filesystem --name local --capacity 1GB'));
    assert.match(
      await alice.run(words('network create --as alice --silo local --name cluster --push')),
      /^Remotely created network descriptor "alice\/cluster"\.$/m,
    );
    await alice.run(words('volume create --as alice --network cluster --name shared --default-permissions rw --push'));
    node = await alice.start(
      words('network run --as alice --name cluster --listen 127.0.0.1 --publish'),
      /^Running network "alice\/cluster"\.$/m,
    );
  });

  test('bob signs up; alice lets him in; he fetches what he needs', async () => {
    await bob.run(words('user signup --name bob'));
    assert.equal(
      await alice.run(words('user fetch --as alice --name bob')),
      'Locally fetched identity for user "bob".',
    );
    const early = await bob.attempt(words('network fetch --as bob --name alice/cluster'));
    assert.equal(early.code, 1);
    assert.match(early.stderr, /^infinit: fatal error: Forbidden fetching network "alice\/cluster", ensure the user/);
    await alice.run(words('passport create --as alice --network cluster --user bob --push'));
    await bob.run(words('network fetch --as bob --name alice/cluster'));
    await bob.run(words('passport fetch --as bob --network alice/cluster'));
    await bob.run(words('network link --as bob --name alice/cluster'));
    await bob.run(words('volume fetch --as bob --network alice/cluster'));
    assert.match(await bob.run(words('volume list')), /^alice\/shared: alice\/cluster$/m);
  });

  test('the hub tells them how full the network is', async () => {
    const stat = await eventually('usage is told', findMs, async () => {
      const told = JSON.parse(await bob.run(words('network stat alice/cluster --script'))) as { capacity: number };
      return told.capacity > 0 && told;
    });
    assert.equal(stat.capacity, 1_000_000_000);
  });

  test('they find each other by the hub alone, and share files', { skip: cannotMount() ?? false }, async () => {
    const hers = await mountOn(alice, ['--publish']);
    await shell(`echo from alice > ${hers.mountpoint}/letter`);
    const his = await mountOn(bob, ['--publish']);
    assert.equal(await shell(`cat ${his.mountpoint}/letter`), 'from alice\n');
    await shell(`echo from bob > ${his.mountpoint}/answer`);
    assert.equal(await shell(`cat ${hers.mountpoint}/answer`), 'from bob\n');
    for (const mount of [his, hers]) assert.equal(await mount.stop('SIGINT'), 0);
  });

  test('a second node of alice, on a device she logs in on, joins by the hub', async () => {
    const laptop = lab.device('laptop', 'alice');
    laptop.environment = hub.environment;
    const wrong = await laptop.attempt(words('user login --name alice'), 'wrong horse\n');
    assert.deepEqual([wrong.code, wrong.stderr], [1, 'infinit: fatal error: password do not match\n']);
    await laptop.run(words('user login --name alice'), 'correct horse\n');
    await laptop.run(words('network fetch --as alice'));
    await laptop.run(words('silo create filesystem --name local --capacity 1GB'));
    await laptop.run(words('network link --as alice --name cluster --silo local'));
    // Told to look again every second, for the one that came before knows nothing of it.
    const second = await laptop.start(
      words('network run cluster --listen 127.0.0.1 --push --fetch --fetch-endpoints-interval 1'),
      /^Running network/m,
    );
    await eventually('the nodes know each other', findMs, async () => {
      const { peers } = JSON.parse(await alice.run(words('network inspect cluster --peers --script'))) as {
        peers: { connected: boolean }[];
      };
      return peers.some(({ connected }) => connected);
    });
    assert.equal(await second.stop(), 0);
  });

  test('endpoints go with the node; the hub gone is no reason to stop', async () => {
    const client = async (device: Device) => {
      const { private_key } = JSON.parse(await device.run(words(`user export ${device.user} --full`))) as {
        private_key: { ed25519: string };
      };
      const { keyPairFromSeed } = await import('../../src/core/crypto/keys.ts');
      const key = keyPairFromSeed(Buffer.from(private_key.ed25519, 'base64'));
      return new HubClient(systemRuntime({ log: { level: 'error' } }), httpConnection(hub.url), {
        name: device.user,
        key,
      });
    };
    const his = await client(bob);
    const endpoints = () => his.ask('GET', '/networks/alice/cluster/endpoints', { what: 'looking' });
    const told = (await endpoints()) as Record<string, Record<string, { addresses: string[] }>>;
    assert.deepEqual(
      Object.values(told.alice ?? {}).map(({ addresses }) => addresses),
      [['127.0.0.1']],
    );
    await hub.kill();
    const late = await alice.attempt(words('network stat cluster'));
    assert.match(late.stderr, /does not answer: ECONNREFUSED/);
    assert.equal(node.ended, false);
    await hub.start();
    assert.deepEqual(await endpoints(), told);
    assert.equal(await node.stop(), 0);
    assert.deepEqual(await endpoints(), {});
  });

  test('everything is taken off the hub, and stays on the devices', async () => {
    await alice.run(words('user pull --purge'));
    assert.equal((await bob.attempt(words('volume fetch alice/shared'))).code, 1);
    assert.match(await alice.run(words('volume list')), /^alice\/shared/m);
    assert.equal(await hub.stop(), 0);
  });
});

/** People who leave things at hubs, as fast as they are acknowledged. */
class Leavers {
  readonly acknowledged = new Map<string, { by: Person; descriptor: unknown }>();
  private readonly hubs: readonly Hub[];
  private readonly people = Array.from({ length: 12 }, (_, i) => person(`user${i}`));
  private readonly guest = person('guest');
  private readonly runtime = systemRuntime({ log: { level: 'error' } });
  private rounds = 0;

  constructor(hubs: readonly Hub[]) {
    this.hubs = hubs;
  }

  async enrol(): Promise<void> {
    for (const who of [...this.people, this.guest])
      await this.put(this.hubs[0] as Hub, who, `/users/${who.name}`, userBody(who));
  }

  /** Until so many rounds are done; then `interrupt` runs, which ends the hub some of them speak to. */
  async leaveUntil(rounds: number, label: number, hubs: readonly Hub[], interrupt: () => Promise<void>): Promise<void> {
    const until = this.rounds + rounds;
    let stop = false;
    const ends = this.people.map(async (who, i) => {
      const hub = hubs[i % hubs.length] as Hub;
      try {
        for (let round = label * 1000; !stop; round++) await this.leave(hub, who, round);
      } catch (error) {
        assert.equal((error as { kind?: string }).kind, 'unavailable');
      }
    });
    await eventually('some is left there', 60_000, async () => this.rounds >= until);
    await interrupt();
    stop = true;
    await Promise.all(ends);
  }

  /** Everything acknowledged is at that hub. */
  async verify(hub: Hub): Promise<void> {
    for (const [path, { by, descriptor }] of this.acknowledged)
      assert.deepEqual(await this.client(hub, by).ask('GET', path, { what: path }), descriptor);
  }

  private async leave(hub: Hub, who: Person, round: number): Promise<void> {
    const network = networkOf(who, `n${round}`);
    const passport = passportOf(who, this.guest, network);
    const volume = volumeOf(who, `v${round}`, network.name);
    for (const [path, descriptor] of [
      [`/networks/${network.name}`, network],
      [`/networks/${network.name}/passports/guest`, passport],
      [`/volumes/${volume.name}`, volume],
    ] as const) {
      await this.put(hub, who, path, descriptor);
      this.acknowledged.set(path, { by: who, descriptor });
    }
    this.rounds++;
  }

  private client(hub: Hub, who: Person): HubClient {
    return new HubClient(this.runtime, httpConnection(hub.url), who);
  }

  private put(hub: Hub, who: Person, path: string, body: unknown): Promise<unknown> {
    return this.client(hub, who).ask('PUT', path, { body, what: path });
  }
}

describe('a hub killed at any time', { timeout: 180_000 }, () => {
  const lab = new Lab();
  const hub = new Hub(lab);
  after(() => lab.close());

  test('has what it acknowledged', async () => {
    await hub.start();
    const leavers = new Leavers([hub]);
    await leavers.enrol();
    for (let kill = 0; kill < 3; kill++) {
      await leavers.leaveUntil(30, kill, [hub], () => hub.kill());
      await hub.start();
    }
    assert.ok(leavers.acknowledged.size > 200, `${leavers.acknowledged.size} acknowledged`);
    await leavers.verify(hub);
  });
});

describe('two hubs on one PostgreSQL database', { timeout: 240_000, skip: noPostgres() }, () => {
  const lab = new Lab();
  let server: PostgresServer;
  let hubs: [Hub, Hub];
  before(async () => {
    server = await PostgresServer.start();
    const database = server.create('hub');
    hubs = [new Hub(lab, 'hub1', ['--database', database]), new Hub(lab, 'hub2', ['--database', database])];
    await Promise.all(hubs.map((hub) => hub.start()));
  });
  after(async () => {
    await lab.close();
    await server.stop();
  });

  test('have what either acknowledged, though one is killed again and again', async () => {
    const [one, two] = hubs;
    const leavers = new Leavers(hubs);
    await leavers.enrol();
    for (let kill = 0; kill < 3; kill++) {
      await leavers.leaveUntil(30, kill, hubs, () => one.kill());
      await leavers.verify(two);
      await one.start();
    }
    assert.ok(leavers.acknowledged.size > 200, `${leavers.acknowledged.size} acknowledged`);
    await leavers.verify(one);
  });

  test('a request counts once at both together', async () => {
    const who = person('user0');
    const request = { method: 'GET', host: 'any', path: '/users/user0/networks', query: '', body: Buffer.alloc(0) };
    const times = { nowMs: Date.now(), nonce: Buffer.alloc(16, 7) };
    const headers = { ...signRequest(request, who.name, who.key, times), host: 'any' };
    const statuses = await Promise.all(
      [0, 1, 0, 1, 0, 1].map((i) => fetchStatus((hubs[i] as Hub).url + request.path, headers)),
    );
    assert.deepEqual(statuses.sort(), [200, 401, 401, 401, 401, 401]);
  });
});

/** Past the client of ours, which signs each request anew. */
function fetchStatus(url: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = get(url, { headers, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asking.on('error', reject);
  });
}
