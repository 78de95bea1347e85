// The folder of a client's own journal (decision 029): one for each volume and user, below what the link of its network keeps on this
// device. Its head is sealed to the user and holds the key of the rest, and what has to be known of the volume without the network.

import { join } from 'node:path';
import { type Bytes, fromBase64, toHex } from '../../base/bytes.ts';
import { bytes, type CodecType, decode, encode, fixed, struct, text, u8 } from '../../base/codec.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { keyBytes } from '../../crypto/cipher.ts';
import type { KeyPair } from '../../crypto/keys.ts';
import { openSealed, sealTo } from '../../crypto/sealed-box.ts';
import type { Home, VolumeDescriptor } from '../../descriptor/descriptor.ts';
import { holderOf } from '../../descriptor/removal.ts';
import type { FileLock, Runtime } from '../../runtime/runtime.ts';
import { treeIdBytes } from '../../tree/root.ts';
import { journalIdBytes } from '../../volume/files/messages.ts';
import { linkFolder } from '../link.ts';

const format = 1;
const headBytesMax = 4096;
const oneTimeBytes = 32;

export const journalHead = struct({
  format: u8,
  /** Names the journal in the network. */
  journal: fixed(journalIdBytes),
  /** Of the journal alone. */
  key: fixed(keyBytes),
  treeId: fixed(treeIdBytes),
  /** What names of the volume are hashed with. */
  nameKey: bytes(64),
  volume: text(limits.asyncLabelCharsMax),
});
export type JournalHead = CodecType<typeof journalHead>;

/** Where those of a network are, by the ids of trees in hex. */
export function journalsFolder(home: Home, user: string, network: string): string {
  return join(linkFolder(home, user, network), 'journals');
}

export function journalFolder(home: Home, user: string, volume: VolumeDescriptor): string {
  return join(journalsFolder(home, user, volume.network), toHex(fromBase64(volume.tree_id)));
}

/** Whether one has begun there. */
export async function hasJournal({ files }: Pick<Runtime, 'files'>, folder: string): Promise<boolean> {
  return (await files.stat(join(folder, 'head'))) !== undefined;
}

/** Throws `exists` while another process has it. */
export async function lockJournal(
  { files }: Pick<Runtime, 'files'>,
  folder: string,
  volume: string,
): Promise<FileLock> {
  await files.makeDirectory(folder);
  try {
    return await files.lock(join(folder, 'lock'));
  } catch (error) {
    if (!isError(error, 'exists')) throw error;
    const message = `volume "${volume}" is open with --async on this device already${holderOf(error)}`;
    throw new InfinitError('exists', message, { cause: error });
  }
}

/** Undefined when there is no journal yet. Throws `corrupt` when it is damaged or another user's. */
export async function readHead(
  { files }: Pick<Runtime, 'files'>,
  folder: string,
  user: KeyPair,
): Promise<JournalHead | undefined> {
  const path = join(folder, 'head');
  if ((await files.stat(path)) === undefined) {
    if ((await files.list(folder)).some((name) => name.endsWith('.log')))
      throw damagedError(folder, 'what it holds has no head');
    return undefined;
  }
  try {
    const plain = openSealed(user, await files.read(path, { limit: headBytesMax }));
    if (plain[0] !== format) throw new InfinitError('unsupported', `the journal in ${folder} has format ${plain[0]}`);
    return decode(journalHead, plain);
  } catch (error) {
    if (isError(error, 'corrupt', 'full')) throw damagedError(folder, 'its head does not open with your key', error);
    throw error;
  }
}

/** A new journal; its head is on the disk before anything else. */
export async function beginJournal(
  { files, random }: Pick<Runtime, 'files' | 'random'>,
  folder: string,
  user: KeyPair,
  { volume, nameKey }: { volume: VolumeDescriptor; nameKey: Bytes },
): Promise<JournalHead> {
  const head: JournalHead = {
    format,
    journal: random.bytes(journalIdBytes),
    key: random.bytes(keyBytes),
    treeId: fromBase64(volume.tree_id),
    nameKey,
    volume: volume.name,
  };
  const sealed = sealTo(user.publicKey, encode(journalHead, head), random.bytes(oneTimeBytes));
  await files.replace(join(folder, 'head'), sealed, { mode: 0o600 });
  return head;
}

export function damagedError(folder: string, reason: string, cause?: unknown): InfinitError {
  return new InfinitError('corrupt', `the journal in ${folder} is damaged, or another user's: ${reason}`, {
    hint: 'it is left as it is: mount without --async, or move the folder away to begin another journal',
    cause,
  });
}
