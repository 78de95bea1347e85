// From the descriptor of a volume to its files: the tree with the files view, the root directory made by the owner's first opening,
// room and free space from the nodes' records.

import { type Bytes, fromBase64, toHex } from '../base/bytes.ts';
import { decode, encode } from '../base/codec.ts';
import { InfinitError, isError } from '../base/errors.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Address } from '../block/address.ts';
import type { AccessList } from '../block/register.ts';
import type { MountOptionsJson, VolumeDescriptor } from '../descriptor/descriptor.ts';
import { keyFromJson } from '../descriptor/keys.ts';
import { networkCapacity } from '../store/capacity.ts';
import { Worker } from '../store/worker.ts';
import type { Effect, Tree } from '../tree/tree.ts';
import { beginFiles } from '../volume/files/begin-files.ts';
import { DomainFiles } from '../volume/files/domain-files.ts';
import type { Domain, OpenDomain, TreePlace } from '../volume/files/domain-table.ts';
import { createFileView } from '../volume/files/file-view.ts';
import { type Files, rootInode } from '../volume/files/files.ts';
import { domainsReply, fileQuery } from '../volume/files/messages.ts';
import { openTreeFiles, type TreeFiles } from '../volume/files/tree-files.ts';
import type { Capacity } from '../volume/files/usage.ts';
import { type Connected, LateDomain, openLateDomain } from './late/late-domain.ts';
import type { LinkedNode } from './link.ts';
import { type ListKeeper, Lists } from './sharing/lists.ts';
import { type SharingService, serveSharing } from './sharing/sharing.ts';
import type { Statement } from './sharing/statement.ts';
import { type OpeningOptions, openDescribedTree, openTreeAt, secretFor } from './trees.ts';

export interface OpenVolume {
  /** That of the volume's own list. */
  tree: Tree;
  files: DomainFiles;
  readOnly: boolean;
  /** With a journal of its own: operations that wait to be sent. */
  waiting: (() => number) | undefined;
  /** Sends and commits everything, then closes all. Throws what became of data that could not be sent. */
  close(): Promise<void>;
}

const rootMode = 0o755;
/** What group and others may do with all that is made, by what the network may. */
const worldModes = { '': 0, r: 0o044, rw: 0o066 } as const;
/** Words that take protection away from this machine: only its own user says them. */
const guardedFuseOptions: ReadonlySet<string> = new Set(['allow_other', 'allow_root', 'dev', 'suid', 'nonempty']);

/** What every passport holder of the network may do. */
export function worldOf({ default_permissions: given }: VolumeDescriptor): { read: boolean; write: boolean } {
  return { read: given !== '', write: given === 'rw' };
}

/**
 * Throws `denied` when it is not shared with the acting user, `not-found` when its owner has not made its root yet. `owner`: whose
 * the root directory becomes when it is made; who runs this process, unless told.
 */
export async function openVolume(linked: LinkedNode, volume: VolumeDescriptor, options: Opening): Promise<OpenVolume> {
  const trees = new VolumeTrees(linked, volume, options);
  await trees.start();
  const { tree, readOnly: isRootReadOnly } = await trees.files.table.opened(trees.files.table.root);
  const readOnly = isRootReadOnly && (options.readOnly === true || !(await trees.writesAny()));
  const late = trees.files.table.root.now;
  const waiting = late instanceof LateDomain ? () => late.waiting : undefined;
  return { tree, files: trees.files, readOnly, waiting, close: () => trees.stop() };
}

/** How often it is seen whether something is left to be done for lists of directories and files. */
const listsPeriodMs = 10_000;

interface Opening extends OpeningOptions {
  owner?: { uid: number; gid: number } | undefined;
  /** The volume's own tree is opened over a journal of this client's own, in that folder; `warn` takes a line for the person. */
  late?: { folder: string; warn(text: string): void } | undefined;
}

/** The trees of one volume, as they are opened. */
class VolumeTrees {
  readonly files: DomainFiles;
  private readonly linked: LinkedNode;
  private readonly volume: VolumeDescriptor;
  private readonly options: Opening;
  private readonly sharings = new Map<Domain, SharingService>();
  private readonly lists: Lists;
  private readonly worker: Worker;

  constructor(linked: LinkedNode, volume: VolumeDescriptor, options: Opening) {
    this.linked = linked;
    this.volume = volume;
    this.options = options;
    const { runtime } = linked.node;
    const root = { treeId: fromBase64(volume.tree_id), root: undefined };
    this.files = new DomainFiles({ runtime, root, open: (place, domain) => this.open(place, domain) });
    const { files } = this;
    this.lists = new Lists({ linked, files, owner: this.owner, keeperOf: (domain) => this.keeperOf(domain) });
    this.worker = new Worker(this.lists, runtime, listsPeriodMs);
    this.lists.onWork = () => this.worker.wake();
  }

  async start(): Promise<void> {
    await this.files.start();
    const { people, door } = this.options;
    const { now } = this.files.table.root;
    if (people === undefined || !door || !this.lists.isOwner || now?.readOnly !== false) return;
    this.linked.node.workers.push(this.worker);
    this.worker.wake();
  }

  /** Whether this user may write where one of the lists within that of the volume holds. */
  async writesAny(): Promise<boolean> {
    const { table } = this.files;
    await this.lists.openNamed(table.root);
    return table.all.some(({ now }) => now?.readOnly === false);
  }

  async stop(): Promise<void> {
    const { workers } = this.linked.node;
    await this.worker.stop();
    await this.lists.stop();
    if (workers.includes(this.worker)) workers.splice(workers.indexOf(this.worker), 1);
    await this.files.stop();
  }

  private get owner(): Bytes {
    return keyFromJson(this.volume.owner);
  }

  private open(place: TreePlace, domain: Domain): Promise<OpenDomain> {
    const { linked, volume, options } = this;
    const { late } = options;
    if (late === undefined || place.root !== undefined) return this.openNow(place, domain);
    const special = () => this.sharingOf(domain).attributes;
    return openLateDomain({
      ...{ linked, volume, ...late, capacity: () => this.capacity(), chunkBytes: chunkBytesOf(volume) },
      connect: (signal) => this.openNow(place, domain, signal),
      special: { get: (...asked) => special().get(...asked), set: (...asked) => special().set(...asked) },
    });
  }

  private async capacity(): Promise<Capacity> {
    const { node } = this.linked;
    return networkCapacity(node.overlay.nodes(), node.network().consensus['replication-factor']);
  }

  private async openNow({ treeId, root }: TreePlace, domain: Domain, leaving?: AbortSignal): Promise<Connected> {
    const { linked, volume, options } = this;
    const { runtime } = linked.node;
    const signal = AbortSignal.any([options.signal, leaving].filter((one) => one !== undefined));
    const chunkBytesMax = chunkBytesOf(volume);
    const view = (nameKey: Bytes) => createFileView({ nameKey });
    let files: TreeFiles | undefined;
    const opening = {
      ...options,
      signal,
      chunkBytesMax,
      onForwarded: async (effects: readonly Effect[]) => files?.forwarded(effects),
    };
    const described = { kind: 'volume', descriptor: volume, view, world: worldOf(volume) } as const;
    const { tree, readOnly, nameKey } =
      root === undefined
        ? await openDescribedTree(linked, described, opening)
        : await openTreeAt(linked, { ...listTree(linked, { treeId, root }), view, owner: this.owner }, opening);
    const sharing = this.share(domain, tree, readOnly);
    const close = async () => {
      try {
        await sharing?.stop();
        await files?.stop();
      } finally {
        await tree.stop();
      }
    };
    try {
      const capacity = () => this.capacity();
      files = openTreeFiles(tree, { runtime, capacity, chunkBytes: chunkBytesMax, special: sharing?.attributes });
      await files.start();
      if (root === undefined) await findRoot(tree, files, linked, volume, readOnly, { ...options, signal });
    } catch (error) {
      await close().catch(() => {});
      throw error;
    }
    return { tree, files, readOnly, nameKey, close };
  }

  private share(domain: Domain, tree: Tree, readOnly: boolean): SharingService | undefined {
    const { people, door } = this.options;
    if (people === undefined) return undefined;
    const { lists } = this;
    const within = {
      isWhole: (inode: number) => lists.isWhole(domain, inode),
      changing: (inode: number, change: () => Promise<void>) => lists.changing(domain, inode, change),
      separate: (inode: number, said: Statement) => lists.separate(domain, inode, said),
      isMoving: (inode: number) => lists.isMoving(domain, inode),
      below: (inode: number) => lists.below(domain, inode),
    };
    const follows = door && !readOnly && lists.isOwner;
    const sharing = serveSharing(this.linked, tree, { people, follows, lists: within });
    this.sharings.set(domain, sharing);
    return sharing;
  }

  private keeperOf(domain: Domain): ListKeeper {
    const { volume } = this.sharingOf(domain);
    return { said: () => volume.own(), say: (said) => volume.say(said) };
  }

  private sharingOf(domain: Domain): SharingService {
    const sharing = this.sharings.get(domain);
    if (sharing === undefined) throw new InfinitError('unavailable', 'the access list is not open');
    return sharing;
  }
}

/** A tree of a directory's or file's own list. */
function listTree(linked: LinkedNode, { treeId, root }: { treeId: Bytes; root: Address }) {
  return {
    treeId,
    rootAddress: root,
    secretOf: (access: AccessList) => secretFor(linked, access),
    gone: new InfinitError('lost', 'what had this access list is gone'),
  };
}

/**
 * The trees of all lists within a volume, those within others first: what is to be destroyed with it. Throws what reading one throws:
 * then none is known.
 */
export async function listTreesOf(
  linked: LinkedNode,
  owner: Bytes,
  volume: { treeId: Bytes; root: Address },
  options: Abortable = {},
): Promise<{ treeId: Bytes; root: Address }[]> {
  const found: { treeId: Bytes; root: Address }[] = [];
  const seen = new Set<string>();
  const walk = async (place: { treeId: Bytes; root: Address }): Promise<void> => {
    if (seen.has(toHex(place.treeId))) return;
    seen.add(toHex(place.treeId));
    const view = (nameKey: Bytes) => createFileView({ nameKey });
    const opening = { ...options, door: false };
    try {
      const { tree } = await openTreeAt(linked, { ...listTree(linked, place), view, owner }, opening);
      try {
        const named = decode(domainsReply, await tree.query(encode(fileQuery, { type: 'domains' }), options));
        for (const { record } of named) await walk({ treeId: record.treeId, root: record.root });
      } finally {
        await tree.stop();
      }
    } catch (error) {
      // Destroyed before, by a command that did not get further.
      if (!isError(error, 'lost')) throw error;
    }
    found.push(place);
  };
  await walk(volume);
  return found.slice(0, -1);
}

/** What a volume's blocks hold of its data: as much as its owner said, a cell at least, and as much as a block has room for. */
function chunkBytesOf({ block_size }: VolumeDescriptor): number {
  return Math.min(Math.max(block_size, limits.cellBytesMax), limits.blockBytesMax - limits.cellBytesMax);
}

async function findRoot(
  tree: Tree,
  files: Files,
  { node }: LinkedNode,
  volume: VolumeDescriptor,
  readOnly: boolean,
  { signal, owner }: Abortable & { owner?: { uid: number; gid: number } | undefined },
): Promise<void> {
  try {
    await files.attributes(rootInode, { signal });
    return;
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
    if (readOnly) {
      const message = `volume "${volume.name}" has no root directory yet`;
      throw new InfinitError('not-found', message, { hint: 'who may write it must open it once', cause: error });
    }
  }
  const { uid, gid } = owner ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const defaultMode = worldModes[volume.default_permissions];
  await beginFiles(tree, node.runtime, { mode: rootMode, uid, gid, defaultMode });
}

/** What was given for this time over what is kept; of another's volume, what opens this machine or shows it to others is left out and told. */
export function effectiveOptions(
  volume: VolumeDescriptor,
  given: MountOptionsJson,
  isOwn: boolean,
): { options: MountOptionsJson; refused: string[] } {
  const kept = wordsOf(volume.mount_options);
  const refused = isOwn ? [] : kept.filter((word) => guardedFuseOptions.has(word));
  const words = [...kept.filter((word) => !refused.includes(word)), ...wordsOf(given)];
  const options = { ...volume.mount_options, ...given, ...(words.length > 0 && { fuse_options: words }) };
  if (words.length === 0) delete options.fuse_options;
  if (isOwn) return { options, refused };
  for (const [option, word] of ownChoices) {
    if (!options[option] || given[option]) continue;
    options[option] = false;
    refused.push(word);
  }
  return { options, refused };
}

/** Options that only the person of the machine decides on, and how they are told. */
const ownChoices = [
  ['mdns', 'mdns'],
  ['port_mapping', 'port-mapping'],
] as const;

/** One text may hold several, as after `-o`. */
function wordsOf({ fuse_options = [] }: MountOptionsJson): string[] {
  return fuse_options.flatMap((text) => text.split(',')).flatMap((word) => word.trim() || []);
}
