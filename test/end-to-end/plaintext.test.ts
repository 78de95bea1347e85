// Nobody but users sees what is stored: known values and names of keys are looked for in every file of every device and in every
// byte between nodes, which pass a forwarder that keeps them. The search itself is checked against places that have them.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Cluster, connect, createCluster, fullRedundancy, type Node, network, startDoor } from './cluster.ts';
import { type Device, eventually, Lab } from './device.ts';
import { contents, Ledger } from './ledger.ts';

/** Nodes listen on one address and are announced under the other, where forwarders are. */
const announced = '127.0.0.2';
const needleBytes = 24;

/** Keeps all bytes that pass, a stream each. */
class Forwarder {
  readonly streams: Buffer[][] = [];
  private readonly servers: Server[] = [];
  private readonly sockets = new Set<Socket>();

  async open(port: number): Promise<void> {
    const server = createServer((near) => {
      const far = dial(port, '127.0.0.1');
      this.pass(near, far);
      this.pass(far, near);
    });
    this.servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, announced, resolve);
    });
  }

  private pass(from: Socket, to: Socket): void {
    const stream: Buffer[] = [];
    this.streams.push(stream);
    this.sockets.add(from);
    from.on('data', (part: Buffer) => stream.push(part));
    from.on('error', () => to.destroy());
    from.on('close', () => this.sockets.delete(from));
    from.pipe(to);
  }

  get bytes(): number {
    return this.streams.flat().reduce((sum, part) => sum + part.length, 0);
  }

  close(): void {
    for (const server of this.servers) server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

/** What to look for: pieces of the bytes, plain and as programs write bytes. */
function needlesOf(what: string, secret: Buffer): { what: string; needle: Buffer }[] {
  const at = [0, Math.floor(secret.length / 2), secret.length - needleBytes].map((offset) => Math.max(0, offset));
  const pieces = at.map((offset) => secret.subarray(offset, offset + needleBytes));
  const spelled = ['hex', 'base64'].flatMap((form) =>
    pieces.map((piece) => Buffer.from(piece.subarray(0, 18).toString(form as 'hex' | 'base64'))),
  );
  return [...pieces, ...spelled].map((needle) => ({ what, needle }));
}

type Needles = ReturnType<typeof needlesOf>;

function search(place: string, bytes: Buffer, needles: Needles): string[] {
  return needles.filter(({ needle }) => bytes.includes(needle)).map(({ what }) => `${what} in ${place}`);
}

function searchFiles(folder: string, needles: Needles): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name));
  assert.ok(paths.length > 0, `${folder} has files`);
  return paths.flatMap((path) => search(path, readFileSync(path), needles));
}

function searchAll(devices: Cluster, forwarder: Forwarder, needles: Needles): string[] {
  const homes = Object.values<Device>({ ...devices }).flatMap(({ home }) => searchFiles(home, needles));
  const wires = forwarder.streams.flatMap((parts, at) => search(`stream ${at}`, Buffer.concat(parts), needles));
  return [...homes, ...wires];
}

/** Alice's private key, as it would look wherever it must not be. */
async function privateKey(device: Device): Promise<Needles> {
  const user = JSON.parse(await device.run(['user', 'export', 'alice', '--full', '--script'])) as Record<
    string,
    unknown
  >;
  const found = /[A-Za-z0-9+/]{43,}={0,2}/.exec(JSON.stringify(user.private_key))?.[0];
  assert.ok(found !== undefined, 'a private key is exported');
  return [Buffer.from(found), Buffer.from(found, 'base64').subarray(0, 32)].map((needle) => ({
    what: 'private key of alice',
    needle,
  }));
}

async function startAnnounced(device: Device, forwarder: Forwarder, peer?: string): Promise<Node> {
  const seed = peer === undefined ? [] : ['--peer', peer];
  const node = await device.startNode(network, ['--advertise-host', announced, ...seed]);
  await forwarder.open(Number(node.endpoint.split(':')[1]));
  return node;
}

test('neither disks nor wires show what is stored', { timeout: 180_000 }, async (context) => {
  if (!(await canListen(announced))) {
    const missing = `this system has no second loopback address ${announced}`;
    assert.notEqual(process.env.INFINIT_TEST_NOTHING_MISSING, '1', missing);
    return context.skip(missing);
  }
  const lab = new Lab();
  const forwarder = new Forwarder();
  try {
    const devices = await createCluster(lab);
    const one = await startAnnounced(devices.one, forwarder);
    const two = await startAnnounced(devices.two, forwarder, one.endpoint);
    const three = await startAnnounced(devices.three, forwarder, one.endpoint);
    const door = await startDoor(devices.two, ['--advertise-host', announced]);
    await fullRedundancy(devices.one, 60_000);

    const ledger = new Ledger();
    const needles: Needles = [];
    const { keys, close } = await connect(devices.two);
    for (const size of [100, 200, 255, 3000, 20_000, 60_000, 300_000, 3_000_000]) {
      const key = `key-${randomBytes(24).toString('hex')}`;
      const value = contents(key, size);
      needles.push(...needlesOf(`name of the value of ${size} bytes`, Buffer.from(key.slice(4))));
      needles.push(...needlesOf(`value of ${size} bytes`, value));
      await ledger.put(keys, key, value);
    }
    const text = 'The quick brown fox jumps over the lazy dog, twice. ';
    await ledger.put(keys, 'text', Buffer.from(text.repeat(8)));
    await ledger.put(keys, 'long text', Buffer.from(text.repeat(20_000)));
    needles.push({ what: 'text', needle: Buffer.from(text.slice(0, 26)) });
    await ledger.verify(keys);
    const secret = await privateKey(devices.one);

    // Pending in journals, then committed.
    assert.deepEqual(searchAll(devices, forwarder, needles), []);
    await close();
    assert.equal(await door.stop(), 0);
    const reopened = await startDoor(devices.one, ['--advertise-host', announced]);
    const again = await connect(devices.one);
    await ledger.verify(again.keys);
    await again.close();
    await reopened.stop();
    assert.ok(forwarder.bytes > 2 * 3_400_000, `${forwarder.bytes} bytes passed the forwarder`);
    for (const node of [one, two, three]) assert.equal(await node.stop(), 0);
    assert.deepEqual(searchAll(devices, forwarder, needles), []);
    assert.deepEqual(searchFiles(devices.three.home, secret), []);
    assert.deepEqual(
      searchAll(devices, forwarder, secret).map((found) => found.replace(/.*\/users\//, 'users/')),
      [...Array.from({ length: 2 }, () => 'users/alice')],
    );

    await findsWhatIsThere(devices, forwarder, needles);
  } finally {
    forwarder.close();
    await lab.close();
  }
});

function canListen(host: string): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(0, host, () => server.close(() => resolve(true)));
  });
}

/** The same search, with the same things put where it looks. */
async function findsWhatIsThere(devices: Cluster, forwarder: Forwarder, needles: Needles): Promise<void> {
  const [first] = needles;
  assert.ok(first !== undefined);
  writeFileSync(join(devices.three.siloFolder('disk'), 'leak'), Buffer.concat([randomBytes(70_000), first.needle]));
  const echo = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  const address = echo.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await forwarder.open(port);
  const socket = dial(port, announced, () => socket.end(first.needle));
  await eventually('the leak is on the wire', 10_000, async () => searchAll(devices, forwarder, needles).length === 2);
  const found = searchAll(devices, forwarder, needles);
  assert.match(found[0] ?? '', /name of the value of 100 bytes in .*three.*leak$/);
  assert.match(found[1] ?? '', /name of the value of 100 bytes in stream/);
  echo.close();
}
