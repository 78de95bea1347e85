// Several processes with one tree in a `World`, and a view simple enough to check: a log of words and single values.

import { utf8 } from '../../src/core/base/bytes.ts';
import { bytes, decode, encode, struct, text, u64, union } from '../../src/core/base/codec.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import type { RootHeader } from '../../src/core/consensus/consensus.ts';
import { type KeyPair, keyPairFromSeed } from '../../src/core/crypto/keys.ts';
import { boxKeyPair } from '../../src/core/crypto/sealed-box.ts';
import type { Peers } from '../../src/core/peer/peer.ts';
import { openSecret } from '../../src/core/tree/access.ts';
import { TreeDirectory } from '../../src/core/tree/directory.ts';
import { type OpenTreeOptions, openTree } from '../../src/core/tree/engine.ts';
import { createTreeRoot } from '../../src/core/tree/root.ts';
import type { MapReader, Transaction, Tree, TreeView } from '../../src/core/tree/tree.ts';
import { FakeNetwork, FakePeers } from './fake-peers.ts';
import { Cluster, rootOf } from './fake-store.ts';
import { Process, World, type WorldOptions } from './world.ts';

const request = union({
  /** Adds one to a counter and returns it. */
  add: struct({ key: text(64) }),
  set: struct({ key: text(64), value: bytes(65_536) }),
  fail: struct({}),
  get: struct({ key: text(64) }),
});

/** Counters: a repeated execution shows in the number. */
export const counterView: TreeView = {
  kind: 'test',
  async execute(operation: Uint8Array, transaction: Transaction) {
    const asked = decode(request, operation);
    if (asked.type === 'fail') {
      transaction.put(utf8('k-failed'), utf8('x'));
      throw new InfinitError('conflict', 'as asked', { data: { reason: 'asked' } });
    }
    const key = utf8(`k${asked.key}`);
    if (asked.type === 'set') transaction.put(key, asked.value);
    if (asked.type !== 'add') return encode(u64, transaction.sequence);
    const found = await transaction.get(key);
    const next = (found ? decode(u64, found) : 0) + 1;
    transaction.put(key, encode(u64, next));
    return encode(u64, next);
  },
  async query(query: Uint8Array, reader: MapReader) {
    const asked = decode(request, query);
    if (asked.type !== 'get') throw new InfinitError('usage', 'not a query');
    return (await reader.get(utf8(`k${asked.key}`))) ?? encode(u64, 0);
  },
};

export const add = (tree: Tree, key: string, options = {}): Promise<number> =>
  tree.do(encode(request, { type: 'add', key }), options).then((reply) => decode(u64, reply));
export const set = (tree: Tree, key: string, value: Uint8Array, options = {}): Promise<Uint8Array> =>
  tree.do(encode(request, { type: 'set', key, value }), options);
export const get = (tree: Tree, key: string): Promise<number> =>
  tree.query(encode(request, { type: 'get', key })).then((reply) => decode(u64, reply));
export const fail = (tree: Tree): Promise<Uint8Array> => tree.do(encode(request, { type: 'fail' }));

export interface OpenedOptions extends Partial<OpenTreeOptions> {
  start?: boolean;
  /** Instead of the process's own: tests hear things differently. */
  hears?: (peers: FakePeers) => Peers;
}

/** A process with the tree open. */
export interface Opened {
  process: Process;
  peers: FakePeers;
  tree: Tree;
}

export class TreeWorld {
  readonly world: World;
  readonly cluster: Cluster;
  readonly network = new FakeNetwork();
  readonly owner: KeyPair;
  readonly treeId: Buffer;
  /** Of the network: every passport holder has its private half. */
  readonly members: ReturnType<typeof boxKeyPair>;
  private readonly view: TreeView;
  private address: Uint8Array = Buffer.alloc(0);
  private secret: Buffer = Buffer.alloc(0);

  constructor(options: WorldOptions & { view?: TreeView; storages?: string[] } = {}) {
    this.world = new World(options);
    this.cluster = new Cluster(this.world, options.storages);
    this.owner = keyPairFromSeed(this.world.bytes(32));
    this.members = boxKeyPair(Buffer.alloc(32, 7));
    this.treeId = this.world.bytes(16);
    this.view = options.view ?? counterView;
  }

  /** Nothing fails any more. */
  calm(): void {
    this.world.heal();
    this.world.loss = 0;
    this.cluster.onWrite = undefined;
    for (const storage of this.cluster.storages) storage.up = true;
  }

  get root(): RootHeader {
    return rootOf(this.cluster, this.address);
  }
  get rootAddress(): Uint8Array {
    return this.address;
  }
  get treeSecret(): Uint8Array {
    return this.secret;
  }

  /** Makes the empty tree. */
  async found(): Promise<void> {
    const maker = new Process(this.world, 'maker');
    const made = createTreeRoot({ owner: this.owner, treeId: this.treeId, worldWrite: true }, maker.runtime.random);
    const snapshot = await this.world.until(
      this.cluster.store(maker).registers.create({
        owner: this.owner,
        salt: this.world.bytes(16),
        members: this.cluster.members,
        access: made.access,
        payload: made.payload,
      }),
    );
    this.address = snapshot.address;
    this.secret = made.secret;
  }

  /** A new process that opens the tree. */
  async open(name: string, options: OpenedOptions = {}): Promise<Opened> {
    const process = new Process(this.world, name);
    const user = options.user ?? this.owner;
    const peers = new FakePeers(this.network, process, { userKey: user.publicKey });
    const tree = openTree({
      runtime: process.runtime,
      store: this.cluster.store(process),
      directory: new TreeDirectory(options.hears?.(peers) ?? peers),
      user,
      treeId: this.treeId,
      rootAddress: this.address,
      secretOf: (access) => (access.version === 1 ? this.secret : openSecret(access, user, this.members)),
      membersKey: this.members.publicKey,
      view: this.view,
      endpoints: () => [peers.endpoint],
      ...options,
    });
    if (options.start !== false) await this.world.until(tree.start());
    return { process, peers, tree };
  }
}
