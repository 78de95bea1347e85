// Five storage nodes with registers and journals, and clients, in the simulated world: real peers, a silo that keeps what it
// acknowledged across crashes, and an overlay broken on purpose: it answers with any nodes at all.

import { asBuffer, fromHex, toHex } from '../../src/core/base/bytes.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import { Events } from '../../src/core/base/events.ts';
import { Mutex } from '../../src/core/base/lifecycle.ts';
import { type Member, nodeIdOf } from '../../src/core/block/address.ts';
import type { AuthorCheck } from '../../src/core/block/register-validity.ts';
import type { Journals } from '../../src/core/consensus/consensus.ts';
import { createJournals } from '../../src/core/consensus/journal/journals.ts';
import { serveJournals } from '../../src/core/consensus/journal/service.ts';
import { createRegisters, type RegisterClient } from '../../src/core/consensus/register/client.ts';
import { MemorySeenVersions, type SeenVersions } from '../../src/core/consensus/register/seen-versions.ts';
import { type RegisterService, serveRegisters } from '../../src/core/consensus/register/service.ts';
import { hash } from '../../src/core/crypto/hash.ts';
import { type KeyPair, keyPairFromSeed } from '../../src/core/crypto/keys.ts';
import type { NodeRecord, Overlay } from '../../src/core/overlay/overlay.ts';
import type { Admission, PeerIdentity, Peers } from '../../src/core/peer/peer.ts';
import { createPeers } from '../../src/core/peer/peers.ts';
import type { Runtime } from '../../src/core/runtime/runtime.ts';
import type { Silo, SiloEntry, SiloKey, Space } from '../../src/core/silo/silo.ts';
import type { Host } from './runtime/host.ts';
import type { World } from './runtime/world.ts';

export const port = 4000;
export const networkId = hash(Buffer.from('network'));
export const user: KeyPair = keyPairFromSeed(hash(Buffer.from('alice')));
/** What stands in the place of a value that has rotted: the silo knows that by its checksum. */
export const rotten = Buffer.from('rotten');
const passportHash = hash(Buffer.from('passport'));

type IdentityOf = (nodeId: Uint8Array) => Partial<Pick<PeerIdentity, 'userKey' | 'rights'>>;

export type Written = (host: string, storeId: Buffer, entries: readonly SiloEntry[]) => void;

/** What is on the disk of a host: survives its crashes, until it is lost. */
interface DiskContent {
  storeId: Buffer;
  values: Map<string, Buffer>;
}

export class Cluster {
  readonly world: World;
  readonly storage: readonly string[];
  readonly nodes = new Map<string, Node>();
  /** Told of every batch when it has become durable. */
  onWritten: Written = () => {};
  /** Planted bug: answers leave before what they say is durable. */
  answersEarly = false;
  /** Of stores; undefined: as in life. */
  keep: { stubMs: number; tombstoneMs: number } | undefined;
  private readonly disks = new Map<string, DiskContent>();
  private readonly seen = new Map<string, SeenVersions>();

  /** What members know of authors and demand of values. */
  readonly authors: AuthorCheck;

  /** What is said of a node besides: whose it is, what it may do. */
  readonly identityOf: IdentityOf;

  constructor(
    world: World,
    storageNodes: number,
    clients: number,
    rules: Partial<AuthorCheck> = {},
    identityOf: IdentityOf = () => ({}),
  ) {
    this.world = world;
    this.identityOf = identityOf;
    this.authors = { mayWrite: () => true, mayStore: () => true, ...rules };
    this.storage = Array.from({ length: storageNodes }, (_, i) => `n${i}`);
    for (const name of this.storage) this.loseDisk(name);
    for (const name of [...this.storage, ...Array.from({ length: clients }, (_, i) => `c${i}`)]) {
      world.host(name, { clockRate: 0.99 + world.random.fraction() * 0.02 });
      this.seen.set(name, new MemorySeenVersions());
      this.start(name);
    }
  }

  disk(name: string): DiskContent {
    const disk = this.disks.get(name);
    if (!disk) throw new Error(`no disk ${name}`);
    return disk;
  }

  member(name: string): Member {
    return { node: idOf(name), store: this.disk(name).storeId };
  }

  client(name: string): Node {
    const node = this.nodes.get(name);
    if (!node) throw new Error(`no node ${name}`);
    return node;
  }

  restart(name: string): void {
    this.world.host(name).restart();
    this.start(name);
  }

  /** An empty disk in its place; the process must be down or be restarted at once. */
  loseDisk(name: string): void {
    this.disks.set(name, { storeId: this.world.random.bytes(8), values: new Map() });
  }

  start(name: string): void {
    const host = this.world.host(name);
    const seen = this.seen.get(name) ?? new MemorySeenVersions();
    this.nodes.set(name, new Node(this, host, this.storage.includes(name), seen));
  }
}

export function keyOf(name: string): KeyPair {
  return keyPairFromSeed(hash(Buffer.from(`key of ${name}`)));
}

export function idOf(name: string): Buffer {
  return nodeIdOf(keyOf(name).publicKey) as Buffer;
}

export class Node {
  readonly name: string;
  readonly runtime: Runtime;
  readonly peers: Peers;
  readonly registers: RegisterClient;
  readonly journals: Journals;
  /** Of a storage node. */
  readonly service: RegisterService | undefined;

  constructor(cluster: Cluster, host: Host, stores: boolean, seen: SeenVersions) {
    const { runtime, name } = host;
    const key = keyOf(name);
    this.name = name;
    this.runtime = runtime;
    this.peers = createPeers({
      runtime,
      identity: key,
      admission: admissionOf(key, stores ? 'storage' : 'client', cluster.identityOf),
    });
    const overlay = brokenOverlay(cluster, runtime, this.peers);
    const parts = { runtime, peers: this.peers, overlay, networkId };
    this.registers = createRegisters({ ...parts, seen, replicas: 3 });
    this.journals = createJournals(parts);
    if (stores) {
      const silo = durableSilo(cluster, host);
      const { authors } = cluster;
      const member = cluster.member(name);
      this.service = serveRegisters({ ...parts, silo, member: () => member, authors, keep: cluster.keep });
      serveJournals({ runtime, peers: this.peers, silo, member: () => member, networkId, authors });
      void this.peers
        .start()
        .then(() => this.peers.listen({ host: '::', port }))
        .catch(() => {});
    }
  }
}

function admissionOf(key: KeyPair, kind: 'storage' | 'client', of: IdentityOf): Admission {
  const identity = (publicKey: Uint8Array, what: 'storage' | 'client'): PeerIdentity => ({
    id: nodeIdOf(publicKey),
    nodeKey: publicKey,
    userKey: user.publicKey,
    kind: what,
    rights: { write: true, storage: what === 'storage', sign: true },
    passportHash,
    ...of(nodeIdOf(publicKey)),
  });
  return {
    self: identity(key.publicKey, kind),
    present: () => Buffer.from(kind),
    admit: (presented, remoteKey) => identity(remoteKey, Buffer.from(presented).toString() as 'storage' | 'client'),
    check: () => {},
  };
}

/** The ring is a hint: this one points anywhere. */
function brokenOverlay(cluster: Cluster, runtime: Runtime, peers: Peers): Overlay {
  const record = (name: string): NodeRecord => ({
    id: idOf(name),
    publicKey: keyOf(name).publicKey,
    userKey: user.publicKey,
    endpoints: [{ host: name, port }],
    positions: 1,
    zone: undefined,
    capacityBytes: 1,
    freeBytes: 1,
    stores: [cluster.disk(name).storeId],
    closed: false,
    leaving: false,
    credentials: Buffer.alloc(0),
    serial: 1,
    signature: Buffer.alloc(64),
  });
  const byId = new Map(cluster.storage.map((name) => [toHex(idOf(name)), name]));
  return {
    start: async () => {},
    stop: async () => {},
    join: async () => {},
    meet: async () => {},
    leave: async () => {},
    owners: async (_, count) => {
      const names = cluster.storage.filter(() => runtime.random.below(2) === 0);
      return names.slice(0, count).map(record);
    },
    isNear: () => true,
    record: (id) => {
      const name = byId.get(toHex(id));
      return name === undefined ? undefined : record(name);
    },
    liveness: () => 'unknown',
    nodes: () => cluster.storage.map(record),
    peer: async (id) => {
      const host = byId.get(toHex(id));
      if (host === undefined) throw new InfinitError('unavailable', 'no such node');
      return await peers.connect({ id, endpoints: [{ host, port }] });
    },
    inspect: () => ({}),
    events: new Events(),
  };
}

/** Writes one batch after another, each after a moment; a crash takes those that have not ended. */
function durableSilo(cluster: Cluster, host: Host): Silo {
  const { life } = host;
  const { runtime, name } = host;
  const disk = cluster.disk(name);
  const order = new Mutex();
  const nameOf = (space: Space, key: SiloKey) => `${space}/${toHex(key)}`;
  const read = async (space: Space, key: SiloKey) => {
    const value = disk.values.get(nameOf(space, key));
    if (!value) throw new InfinitError('not-found', 'nothing there');
    if (value.equals(rotten)) throw new InfinitError('corrupt', 'a stored value fails its checksum');
    return value;
  };
  const write = async (entries: readonly SiloEntry[]) => {
    await runtime.clock.sleep(runtime.random.fraction() * (cluster.answersEarly ? 300 : 3));
    if (!life.alive || cluster.disk(name) !== disk) throw new InfinitError('unavailable', 'the disk is gone');
    for (const { space, key, value } of entries) {
      if (value === undefined) disk.values.delete(nameOf(space, key));
      else disk.values.set(nameOf(space, key), Buffer.from(value));
    }
    cluster.onWritten(name, disk.storeId, entries);
  };
  const batch = async (entries: readonly SiloEntry[]) => {
    const written = order.run(() => write(entries));
    written.catch(() => {});
    if (!cluster.answersEarly) await written;
  };
  return {
    storeId: disk.storeId,
    get: read,
    getRange: async (space, key, offset, length) => (await read(space, key)).subarray(offset, offset + length),
    size: async (space, key) => disk.values.get(nameOf(space, key))?.length,
    put: (space, key, value) => batch([{ space, key, value }]),
    delete: (space, key) => batch([{ space, key, value: undefined }]),
    batch,
    async *list(space, after) {
      const from = after === undefined ? '' : nameOf(space, asBuffer(after));
      const names = [...disk.values.keys()].filter((n) => n.startsWith(`${space}/`) && n > from).sort();
      for (const found of names) yield fromHex(found.slice(space.length + 1));
    },
    scan: () => {
      throw new InfinitError('unsupported', 'disks of this cluster hold no blocks');
    },
    usage: () => ({ capacityBytes: undefined, usedBytes: 0, deadBytes: 0, freeBytes: 1, entries: 0, blocks: 0 }),
    sequence: () => 0,
    verify: async () => {},
    renew: async () => {
      throw new InfinitError('unsupported', 'disks of this cluster are exchanged, not renewed');
    },
    close: async () => {},
  };
}
