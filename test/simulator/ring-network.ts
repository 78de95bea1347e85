// Real overlays over real peers in a simulated world: what a test needs to start, kill and ask nodes of one network.

import { toHex } from '../../src/core/base/bytes.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import { nodeIdOf } from '../../src/core/block/address.ts';
import { hash } from '../../src/core/crypto/hash.ts';
import { type KeyPair, keyPairFromSeed } from '../../src/core/crypto/keys.ts';
import { type NodeStatement, signRecord } from '../../src/core/overlay/node-record.ts';
import type { ContactStore, NodeRecord, Overlay } from '../../src/core/overlay/overlay.ts';
import { overlayKind } from '../../src/core/overlay/registry.ts';
import type { Admission, PeerIdentity, Peers } from '../../src/core/peer/peer.ts';
import { createPeers } from '../../src/core/peer/peers.ts';
import type { Endpoint } from '../../src/core/runtime/runtime.ts';
import type { World } from './runtime/world.ts';

export interface NodeOptions {
  kind?: 'storage' | 'client';
  overlay?: string;
  seeds?: Endpoint[];
  positions?: number;
  capacityBytes?: number;
  /** The overlay may declare other positions than those. */
  weighs?: boolean;
  zone?: string;
  certify?: (record: NodeRecord) => void;
}

export interface TestNode {
  readonly host: string;
  readonly name: string;
  readonly peers: Peers;
  readonly overlay: Overlay;
  /** What the node says of itself; a test may replace it. */
  readonly state: { record: NodeRecord };
  readonly key: KeyPair;
  /** The promise of `join`. */
  joined: Promise<void>;
}

export const port = 4000;

/** Contacts outlive the process, as a file would. */
const remembered = new WeakMap<World, Map<string, readonly NodeRecord[]>>();

function contactsOf(world: World, host: string): ContactStore {
  const all = remembered.get(world) ?? new Map<string, readonly NodeRecord[]>();
  remembered.set(world, all);
  return {
    load: async () => [...(all.get(host) ?? [])],
    save: async (records) => {
      all.set(host, [...records]);
    },
  };
}

function openAdmission(key: KeyPair, kind: 'storage' | 'client'): Admission {
  const identity = (publicKey: Uint8Array, what: 'storage' | 'client'): PeerIdentity => ({
    id: nodeIdOf(publicKey),
    nodeKey: publicKey,
    userKey: publicKey,
    kind: what,
    rights: { write: true, storage: what === 'storage', sign: true },
    passportHash: Buffer.alloc(32),
  });
  return {
    self: identity(key.publicKey, kind),
    present: () => Buffer.from(kind),
    admit: (presented, remoteKey) => {
      const said = Buffer.from(presented).toString();
      if (said !== 'storage' && said !== 'client') throw new InfinitError('denied', 'neither storage nor client');
      return identity(remoteKey, said);
    },
    check: () => {},
  };
}

/** Starts a node on the host (restarting the host if it is down) and lets it join; `joined` settles later. */
export function startNode(world: World, host: string, options: NodeOptions = {}): TestNode {
  const kind = options.kind ?? 'storage';
  const runtime = world.host(host).alive ? world.host(host).runtime : world.host(host).restart();
  const key = keyPairFromSeed(hash(Buffer.from(`key of ${host}`)));
  const statement: NodeStatement = {
    userKey: key.publicKey,
    endpoints: [{ host, port }],
    positions: options.positions ?? 4,
    zone: options.zone,
    capacityBytes: options.capacityBytes ?? 2 ** 40,
    freeBytes: 2 ** 39,
    stores: [Buffer.alloc(8, 1)],
    closed: false,
    leaving: false,
    credentials: Buffer.alloc(0),
    serial: 1 + Math.floor(world.timeUs),
  };
  const peers = createPeers({ runtime, identity: key, admission: openAdmission(key, kind) });
  const state = { record: signRecord(key, statement) };
  let settled = false;
  const weighing = {
    settled: () => settled,
    set: (positions: number) => {
      settled = true;
      restate({ state, key }, { positions });
    },
  };
  const overlay = overlayKind(options.overlay ?? 'chord').open({
    runtime,
    peers,
    self: () => (kind === 'storage' ? state.record : undefined),
    contacts: contactsOf(world, host),
    certify: options.certify ?? (() => {}),
    replicationFactor: 3,
    ...(options.weighs ? { positions: weighing } : {}),
  });
  const node: TestNode = {
    state,
    host,
    name: toHex(nodeIdOf(key.publicKey)),
    peers,
    overlay,
    key,
    joined: Promise.resolve(),
  };
  node.joined = (async () => {
    await peers.start();
    await peers.listen({ host: '::', port });
    await overlay.start();
    await overlay.join(options.seeds ?? []);
  })();
  return node;
}

/** The node says something else of itself from now on. */
export function restate({ state, key }: Pick<TestNode, 'state' | 'key'>, change: Partial<NodeStatement>): void {
  const { id, publicKey, signature, ...statement } = state.record;
  state.record = signRecord(key, { ...statement, ...change, serial: statement.serial + 1 });
}

export function seedOf(host: string): Endpoint {
  return { host, port };
}

/** Whether every node believes exactly these to be there. */
export function agree(nodes: readonly TestNode[], members: readonly TestNode[]): boolean {
  const wanted = members.map((node) => node.name).sort();
  return nodes.every((node) => {
    const seen = node.overlay.nodes().map((record) => toHex(record.id));
    return seen.length === wanted.length && seen.sort().every((name, i) => name === wanted[i]);
  });
}

/** A clean end of the process. */
export async function stopNode(node: TestNode): Promise<void> {
  await node.overlay.leave();
  await node.overlay.stop();
  await node.peers.stop();
}
