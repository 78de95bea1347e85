// What is wrong is refused with a message that names it, changes nothing, and hurts nobody: descriptors, passports, silos, ports,
// bytes on the wire, a disk that is full.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, connect as dial } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isError } from '../../src/core/base/errors.ts';
import { descriptorContext } from '../../src/core/descriptor/context.ts';
import { createPassport } from '../../src/core/descriptor/passports.ts';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import { connect, inspect, startDoor } from './cluster.ts';
import { type Device, eventually, Lab, type Outcome } from './device.ts';
import { contents, Ledger } from './ledger.ts';

type Json = Record<string, unknown>;

/** Everything a device keeps under `data`, to see that nothing was saved. */
function saved(device: Device): Record<string, string> {
  const names = readdirSync(device.folders.data, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return Object.fromEntries(
    names.map((entry) => join(entry.parentPath, entry.name)).map((path) => [path, readFileSync(path, 'latin1')]),
  );
}

function refusedWith(outcome: Outcome, message: RegExp): void {
  const { code, stderr } = outcome;
  assert.ok(code === 1 || code === 2, `exit ${code}: ${stderr}`);
  assert.match(stderr, message);
  assert.doesNotMatch(stderr, /bug of infinit| {4}at /);
}

describe('descriptors', { timeout: 180_000 }, () => {
  const lab = new Lab();
  let alice: Device;
  let bob: Device;
  const documents: Record<string, string> = {};

  before(async () => {
    alice = lab.device('one', 'alice');
    bob = lab.device('two', 'bob');
    await alice.run(['user', 'create', 'alice']);
    await bob.run(['user', 'create', 'bob']);
    await alice.run(['user', 'import'], await bob.run(['user', 'export', 'bob']));
    await bob.run(['user', 'import'], await alice.run(['user', 'export', 'alice']));
    await alice.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '1GB']);
    await alice.run(['network', 'create', 'cluster', '--silo', 'disk']);
    await alice.run(['key-value-store', 'create', 'notes', '--network', 'cluster']);
    await alice.run(['passport', 'create', '--network', 'cluster', '--user', 'bob']);
    const exported = async (...words: string[]) => alice.run([...words, '--script']);
    documents.network = await exported('network', 'export', 'cluster');
    documents['key-value-store'] = await exported('key-value-store', 'export', 'notes');
    documents.passport = await exported('passport', 'export', '-N', 'cluster', '-u', 'bob');
  });
  after(() => lab.close());

  for (const kind of ['network', 'passport', 'key-value-store']) {
    test(`${kind}: truncated, flipped, forged, foreign bytes`, async () => {
      // A passport and a store are checked against their network, which bob has.
      if (kind !== 'network') await bob.run(['network', 'import'], documents.network);
      const whole = documents[kind] ?? '';
      const before = saved(bob);
      const refuse = async (input: string | Buffer, message: RegExp) => {
        refusedWith(await bob.attempt([kind, 'import'], input), message);
        assert.deepEqual(saved(bob), before, 'nothing is saved');
      };
      for (const part of [0, 0.3, 0.9]) {
        await refuse(whole.slice(0, Math.floor(whole.length * part)), /JSON|empty|nothing/i);
      }
      await refuse(randomBytes(2000), /JSON|UTF-8/i);
      await refuse('[1, 2, 3]', /object|expected/i);
      await refuse('{"name": 3}', /name|missing|expected|unknown/i);
      const json = JSON.parse(whole) as Json;
      const signature = Buffer.from(json.signature as string, 'base64');
      signature[5] = (signature[5] ?? 0) ^ 0x10;
      await refuse(JSON.stringify({ ...json, signature: signature.toString('base64') }), /signature|not signed/);
      const forgery = kind === 'network' ? { serial: (json.serial as number) + 1 } : undefined;
      const other = kind === 'passport' ? { allow_storage: !json.allow_storage } : { description: 'forged' };
      await refuse(JSON.stringify({ ...json, ...(forgery ?? other) }), /signature|not signed/);
      const { signature: _, ...unsigned } = json;
      await refuse(JSON.stringify(unsigned), /signature/);
    });
  }

  test('a bit flipped anywhere in a network is seen', async () => {
    const whole = Buffer.from(documents.network ?? '');
    const device = lab.device('flips', 'bob');
    await device.run(['user', 'import'], await bob.run(['user', 'export', 'bob', '--full']));
    const before = saved(device);
    for (let at = 1; at <= 12; at++) {
      const flipped = Buffer.from(whole);
      const place = Math.floor((whole.length * at) / 13);
      flipped[place] = (flipped[place] ?? 0) ^ (1 << (at % 7));
      const outcome = await device.attempt(['network', 'import'], flipped);
      assert.ok(outcome.code === 1 || outcome.code === 2, `bit ${at % 7} of byte ${place}: ${outcome.stdout}`);
      assert.doesNotMatch(outcome.stderr, /bug of infinit/);
      assert.deepEqual(saved(device), before, 'nothing is saved');
    }
  });

  test("somebody else's passport opens nothing", async () => {
    const carol = lab.device('carol', 'carol');
    await carol.run(['user', 'create', 'carol']);
    await carol.run(['user', 'import'], await alice.run(['user', 'export', 'alice']));
    await carol.run(['network', 'import'], documents.network);
    await carol.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '1GB']);
    await carol.attempt(['passport', 'import'], documents.passport);
    refusedWith(await carol.attempt(['network', 'link', 'alice/cluster', '--silo', 'disk']), /passport/);
    // Named as hers it is not what alice signed.
    const json = JSON.parse(documents.passport ?? '') as Json;
    const key = (JSON.parse(await carol.run(['user', 'export', 'carol', '--script'])) as Json).public_key;
    const renamed = Object.fromEntries(
      Object.entries(json).map(([name, value]) => (name === 'user' ? [name, key] : [name, value])),
    );
    refusedWith(
      await carol.attempt(['passport', 'import'], JSON.stringify(renamed)),
      /not signed by the network's owner/,
    );
  });

  test('an expired passport admits nobody', async () => {
    // Made an hour ago for a minute: clocks of a network may differ by minutes.
    const runtime = systemRuntime();
    const clock = { ...runtime.clock, now: () => Date.now() - 3_600_000 };
    const context = descriptorContext({ ...runtime, clock }, alice.folders);
    await createPassport(context, { as: 'alice', network: 'cluster', user: 'bob', expiresInMs: 60_000 });
    const passport = await alice.run(['passport', 'export', '-N', 'cluster', '-u', 'bob']);
    const device = lab.device('late', 'bob');
    await device.run(['user', 'import'], await bob.run(['user', 'export', 'bob', '--full']));
    await device.run(['user', 'import'], await alice.run(['user', 'export', 'alice']));
    await device.run(['network', 'import'], documents.network);
    refusedWith(await device.attempt(['passport', 'import'], passport), /expired/);
    refusedWith(await device.attempt(['network', 'link', 'alice/cluster']), /passport "alice\/cluster: bob"/);
  });
});

describe('nodes', { timeout: 180_000 }, () => {
  const lab = new Lab();
  after(() => lab.close());

  async function device(name: string, identity?: string): Promise<Device> {
    const made = lab.device(name, 'alice');
    if (identity === undefined) await made.run(['user', 'create', 'alice']);
    else await made.run(['user', 'import'], identity);
    await made.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '1GB']);
    return made;
  }

  test('a network founded twice stays two networks', async () => {
    const one = await device('one');
    const two = await device('two', await one.run(['user', 'export', 'alice', '--full']));
    await one.run(['network', 'create', 'cluster']);
    await one.run(['network', 'unlink', 'cluster']); // its owner is linked at once, without a silo
    await two.run(['network', 'import'], await one.run(['network', 'export', 'cluster']));
    for (const each of [one, two]) await each.run(['network', 'link', 'cluster', '--silo', 'disk']);
    const first = await one.startNode('cluster');
    const outcome = await two.attempt(['network', 'run', 'cluster', '--listen', '127.0.0.1', '--peer', first.endpoint]);
    refusedWith(outcome, /founded network "alice\/cluster" separately/);
    const exported = await one.run(['network', 'export', 'cluster']);
    refusedWith(await two.attempt(['network', 'import'], exported), /founded separately/);
    assert.equal((await inspect<{ status: boolean }>(one, 'status')).status, true);
    await first.stop();
  });

  test('one silo, one node, one process', async () => {
    const one = await device('shared');
    for (const name of ['cluster', 'other']) await one.run(['network', 'create', name, '--silo', 'disk']);
    const first = await one.startNode('cluster');
    refusedWith(await one.attempt(['network', 'run', 'other', '--listen', '127.0.0.1']), /in use|already|locked/);
    const again = await one.attempt(['network', 'run', 'cluster', '--listen', '127.0.0.1']);
    refusedWith(again, new RegExp(`already running on this device \\(pid ${first.pid}\\)`));
    await first.stop();
  });

  test('runs that cannot be', async () => {
    const one = await device('ports');
    await one.run(['network', 'create', 'cluster']);
    refusedWith(await one.attempt(['network', 'run', 'cluster']), /contributes no silo.*infinit network link/s);
    await one.run(['network', 'unlink', 'cluster']);
    refusedWith(await one.attempt(['network', 'run', 'cluster']), /not yet linked.*infinit network link/s);
    await one.run(['network', 'link', 'cluster', '--silo', 'disk']);
    for (const port of ['99999', '-1', 'http', '1.5']) {
      const outcome = await one.attempt(['network', 'run', 'cluster', '--port', port]);
      assert.equal(outcome.code, 2, `${port}: ${outcome.stderr}`);
      refusedWith(outcome, /port/);
    }
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const busy = await one.attempt(['network', 'run', 'cluster', '--listen', '127.0.0.1', '--port', `${port}`]);
    refusedWith(busy, new RegExp(`port ${port} is taken`));
    server.close();
    refusedWith(await one.attempt(['network', 'run', 'cluster', '--listen', 'no such host']), /listen|host|address/i);
  });

  test('noise at the port of a node does not hurt it', async () => {
    const one = await device('noise');
    await one.run(['network', 'create', 'cluster', '--silo', 'disk']);
    await one.run(['key-value-store', 'create', 'notes', '--network', 'cluster']);
    const node = await one.startNode('cluster');
    const [host = '', port] = node.endpoint.split(':');
    const hello = Buffer.from([0x16, 0x03, 0x01]); // looks like TLS at first
    const noise = Array.from({ length: 60 }, (_, at) =>
      Buffer.concat([at % 2 ? hello : Buffer.alloc(0), randomBytes(at * 997)]),
    );
    await Promise.all(
      noise.map(
        (bytes) =>
          new Promise<void>((resolve) => {
            const socket = dial(Number(port), host, () => socket.write(bytes));
            socket.on('error', () => {});
            socket.on('close', () => resolve());
            setTimeout(() => socket.destroy(), 2000);
          }),
      ),
    );
    await one.run(['key-value-store', 'put', 'notes', 'a', '--value', 'still here']);
    assert.equal(await one.run(['key-value-store', 'get', 'notes', 'a']), 'still here');
    assert.doesNotMatch(node.output, / {4}at |internal/);
    assert.equal(await node.stop(), 0);
  });
});

test('a full disk refuses puts, keeps what it has, and gives space back', { timeout: 180_000 }, async () => {
  const lab = new Lab();
  try {
    const device = lab.device('one', 'alice');
    await device.run(['user', 'create', 'alice']);
    await device.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '128MB']);
    await device.run(['network', 'create', 'cluster', '--silo', 'disk', '--replication-factor', '1']);
    await device.run(['key-value-store', 'create', 'notes', '--network', 'cluster']);
    await device.startNode('cluster');
    const door = await startDoor(device);
    const { keys, close } = await connect(device);
    const ledger = new Ledger();
    let failure: unknown;
    const names: string[] = [];
    for (let at = 0; at < 100 && failure === undefined; at++) {
      const name = `large/${at}`;
      try {
        await ledger.put(keys, name, contents(name, 2 * 1024 * 1024));
        names.push(name);
      } catch (error) {
        failure = error;
      }
    }
    assert.ok(isError(failure, 'full'), String(failure));
    assert.ok(names.length >= 20, `${names.length} values of 2 MiB fit 128 MB`);
    const typed = await device.attempt(
      ['key-value-store', 'put', 'notes', 'x', '--script'],
      contents('x', 4 * 1024 * 1024),
    );
    assert.equal(typed.code, 1);
    assert.match(typed.stdout.toString(), /"kind":"full"/);
    assert.doesNotMatch(typed.stderr, /bug of infinit/);
    await ledger.verify(keys);
    for (const name of names) await eventually(`deletion of ${name}`, 60_000, () => keys.delete(Buffer.from(name)));
    assert.deepEqual((await keys.list()).entries, []);
    await close();
    assert.equal(await door.stop(), 0);
  } finally {
    await lab.close();
  }
});
