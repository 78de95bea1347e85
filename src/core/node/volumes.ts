// From the descriptor of a volume to its files: the tree with the files view, the root directory made by the owner's first opening,
// room and free space from the nodes' records.

import { equalBytes } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { MountOptionsJson, VolumeDescriptor } from '../descriptor/descriptor.ts';
import { keyFromJson } from '../descriptor/keys.ts';
import { networkCapacity } from '../store/capacity.ts';
import type { Tree } from '../tree/tree.ts';
import { beginFiles } from '../volume/files/begin-files.ts';
import { createFileView } from '../volume/files/file-view.ts';
import { type Files, rootInode } from '../volume/files/files.ts';
import { openTreeFiles, type TreeFiles } from '../volume/files/tree-files.ts';
import type { LinkedNode } from './link.ts';
import { type SharingService, serveSharing } from './sharing/sharing.ts';
import { type OpeningOptions, openDescribedTree } from './trees.ts';

export interface OpenVolume {
  tree: Tree;
  files: TreeFiles;
  readOnly: boolean;
  /** Sends and commits everything, then closes both. Throws what became of data that could not be sent. */
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
export async function openVolume(
  linked: LinkedNode,
  volume: VolumeDescriptor,
  options: OpeningOptions & { owner?: { uid: number; gid: number } | undefined },
): Promise<OpenVolume> {
  const { node } = linked;
  const { runtime } = node;
  const chunkBytesMax = chunkBytesOf(volume);
  let files: TreeFiles | undefined;
  let sharing: SharingService | undefined;
  const { tree, readOnly } = await openDescribedTree(
    linked,
    {
      kind: 'volume',
      descriptor: volume,
      view: (nameKey) => createFileView({ nameKey }),
      world: worldOf(volume),
    },
    { ...options, chunkBytesMax, onForwarded: async (effects) => files?.forwarded(effects) },
  );
  try {
    const capacity = async () => networkCapacity(node.overlay.nodes(), node.network().consensus['replication-factor']);
    const { people } = options;
    const follows = options.door && !readOnly && equalBytes(keyFromJson(volume.owner), linked.user.publicKey);
    sharing = people && serveSharing(linked, tree, { people, follows });
    const special = sharing?.attributes;
    files = openTreeFiles(tree, { runtime, capacity, chunkBytes: chunkBytesMax, special });
    await files.start();
    await findRoot(tree, files, linked, volume, readOnly, options);
  } catch (error) {
    await files?.stop().catch(() => {});
    await sharing?.stop();
    await tree.stop();
    throw error;
  }
  const opened = files;
  const close = async () => {
    try {
      await sharing?.stop();
      await opened.stop();
    } finally {
      await tree.stop();
    }
  };
  return { tree, files: opened, readOnly, close };
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

/** What was given for this time over what is kept; of another's volume, words that open this machine are left out and told. */
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
  return { options, refused };
}

/** One text may hold several, as after `-o`. */
function wordsOf({ fuse_options = [] }: MountOptionsJson): string[] {
  return fuse_options.flatMap((text) => text.split(',')).flatMap((word) => word.trim() || []);
}
