// What the parts of one open tree share: the way outside, who we are, the keys, and the root register.

import { type Bytes, equalBytes } from '../base/bytes.ts';
import { encode } from '../base/codec.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import type { Abortable } from '../base/lifecycle.ts';
import type { Address, Member, NodeId } from '../block/address.ts';
import type { AccessList } from '../block/register.ts';
import { type NewAccess, type RegisterSnapshot, type RootHeader, rootHeader } from '../consensus/consensus.ts';
import type { KeyPair } from '../crypto/keys.ts';
import type { Endpoint, Runtime } from '../runtime/runtime.ts';
import type { Store } from '../store/store.ts';
import type { NodeStore } from './base/node-store.ts';
import type { ChunkWriter } from './chunk-writer.ts';
import type { JournalContext } from './effects.ts';
import {
  deriveTreeKeys,
  destroyed,
  nameKeyOf,
  openRootBody,
  type RootBody,
  readHeader,
  sealRootBody,
  type TreeKeys,
} from './root.ts';
import type { TreeView } from './tree.ts';

export interface TreeContext {
  readonly runtime: Runtime;
  readonly store: Store;
  readonly treeId: Bytes;
  readonly rootAddress: Address;
  readonly user: KeyPair;
  /** This process, as others reach it. */
  readonly node: NodeId;
  /** This opening of the tree: tells its leaderships from those of an earlier run. 16 bytes. */
  readonly session: Bytes;
  readonly endpoints: () => readonly Endpoint[];
  readonly view: TreeView;
  /** X25519 key whose private half every passport holder has. */
  readonly membersKey: Bytes;
  readonly nodes: NodeStore;
  readonly chunks: ChunkWriter;
  readonly journal: JournalContext;
  readonly root: RootRegister;
}

/** A chosen root, read. */
export interface Root {
  snapshot: RegisterSnapshot;
  header: RootHeader;
  body: RootBody;
}

export type RootChange = (root: Root) => { header: RootHeader; body: RootBody };

export interface RootRegisterOptions {
  runtime: Runtime;
  store: Store;
  treeId: Bytes;
  address: Address;
  user: KeyPair;
  /** The tree's secret, from the list in which this user finds it. Throws `denied` when he is not in it. */
  secretOf: (access: AccessList) => Bytes;
  members?: readonly Member[] | undefined;
}

/** What an access list gives this user. */
interface Opened {
  access: AccessList;
  secret: Bytes;
  keys: TreeKeys;
}

/** The root register of one tree. */
export class RootRegister {
  private readonly options: RootRegisterOptions;
  private newest: Root | undefined;
  private opened: Opened | undefined;

  constructor(options: RootRegisterOptions) {
    this.options = options;
  }

  /** The newest root this process has seen. */
  get latest(): Root | undefined {
    return this.newest;
  }

  /** Those under the access list of the newest root. Throws `unavailable` before a root was read. */
  get keys(): TreeKeys {
    return this.current.keys;
  }
  get secret(): Bytes {
    return this.current.secret;
  }

  async read(options: Abortable = {}): Promise<Root> {
    const { store, address } = this.options;
    return this.seen(await store.registers.read(address, { ...options, members: this.members }));
  }

  /**
   * Agrees on what `change` makes of the current root; it throws `conflict` when the root is not what the caller built on.
   * Called again with a newer root when somebody else was first. The answer may be newer than what was written. Throws `lost` when
   * the tree was destroyed.
   */
  async write(change: RootChange, options: Abortable = {}): Promise<Root> {
    const { store, address, user } = this.options;
    const payload = (current: RegisterSnapshot) => this.sealed(change(this.seen(current)), this.openedBy(current).keys);
    try {
      return this.seen(await store.registers.write(address, user, payload, { ...options, members: this.members }));
    } catch (error) {
      throw isError(error, 'not-found') ? destroyed(error) : error;
    }
  }

  /**
   * The same with another access list, and perhaps another secret, from there on; the user is the owner. With another secret names
   * are hashed as before.
   */
  async share(
    change: (root: Root) => { header: RootHeader; body: RootBody; access: NewAccess; secret: Bytes },
  ): Promise<Root> {
    const { store, address, user } = this.options;
    const snapshot = await store.registers.share(
      address,
      user,
      (current) => {
        const root = this.seen(current);
        const { header, body, access, secret } = change(root);
        const before = this.openedBy(current);
        const nameKey = equalBytes(secret, before.secret) ? body.nameKey : nameKeyOf(before.keys, root.body);
        return { payload: this.sealed({ header, body: { ...body, nameKey } }, deriveTreeKeys(secret)), access };
      },
      { members: this.members },
    );
    return this.seen(snapshot);
  }

  private sealed({ header, body }: { header: RootHeader; body: RootBody }, keys: TreeKeys): Buffer {
    const { treeId, runtime } = this.options;
    return encode(rootHeader, { ...header, sealed: sealRootBody(keys, treeId, body, runtime.random) });
  }

  private get members(): readonly Member[] | undefined {
    return this.newest?.snapshot.members ?? this.options.members;
  }

  private seen(snapshot: RegisterSnapshot): Root {
    const header = readHeader(snapshot, this.options.treeId);
    const opened = this.openedBy(snapshot);
    const root = { snapshot, header, body: openRootBody(opened.keys, header) };
    if (this.newest === undefined || compareAge(snapshot, this.newest.snapshot) >= 0) {
      this.newest = root;
      this.opened = opened;
    }
    return root;
  }

  private get current(): Opened {
    if (this.opened === undefined) throw new InfinitError('unavailable', 'the root of the tree has not been read');
    return this.opened;
  }

  /** Under the snapshot's access list. */
  private openedBy({ access }: RegisterSnapshot): Opened {
    const { opened } = this;
    if (opened && sameList(opened.access, access)) return opened;
    const secret = this.options.secretOf(access);
    const keys = opened && equalBytes(opened.secret, secret) ? opened.keys : deriveTreeKeys(secret);
    return { access, secret, keys };
  }
}

/** A recovered register may have another list of the same version. */
function sameList(a: AccessList, b: AccessList): boolean {
  return a.version === b.version && equalBytes(a.signature, b.signature);
}

/** Which root is newer; whatever its version, one after a recovery by the owner. */
function compareAge(a: RegisterSnapshot, b: RegisterSnapshot): number {
  return a.recovered - b.recovered || a.version - b.version || a.generation - b.generation;
}

/** Throws `conflict` unless the root is still of this epoch and led by this session. */
export function checkOwn(root: Root, epoch: number, session: Bytes): void {
  const { leader } = root.header;
  if (root.header.epoch !== epoch || leader === undefined || !equalBytes(leader.session, session))
    throw new InfinitError('conflict', `epoch ${epoch} of the tree is over`, { data: { epoch: root.header.epoch } });
}

/**
 * Writes the root in an epoch of this session. Throws `conflict` when a successor has built on it by the time of the answer:
 * his segments are not to be opened, and what was just written is not the root any more.
 */
export async function writeOwn(
  { root, session }: TreeContext,
  epoch: number,
  change: RootChange,
  write: (change: RootChange) => Promise<Root> = (checked) => root.write(checked),
): Promise<Root> {
  const written = await write(change);
  const resigned = written.header.epoch === epoch && written.header.state === 'idle';
  if (!resigned) checkOwn(written, epoch, session);
  return written;
}

/** Tries again after growing pauses while it is `unavailable` and `wanted` says so; anything else is passed on. */
export async function persistently<T>(runtime: Runtime, wanted: () => boolean, task: () => Promise<T>): Promise<T> {
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, 5000)) {
    try {
      return await task();
    } catch (error) {
      if (asError(error).kind !== 'unavailable' || !wanted()) throw error;
    }
    await runtime.clock.sleep(pauseMs);
    if (!wanted()) throw new InfinitError('unavailable', 'the tree stops');
  }
}
