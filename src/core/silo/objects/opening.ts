// Opens, formats and clears a silo of packs in an object store.

import { toHex } from '../../base/bytes.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { Semaphore } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { storeIdBytes } from '../../block/address.ts';
import { hash } from '../../crypto/hash.ts';
import type { FileLock, Runtime } from '../../runtime/runtime.ts';
import { lockSilo } from '../indexed.ts';
import type { Silo, SiloConfig, SiloKind, SiloSurroundings } from '../silo.ts';
import { Turns } from '../turns.ts';
import { headerBytes, packName } from './format.ts';
import type { ObjectStore } from './object-store.ts';
import { PackedSilo } from './packed-silo.ts';
import { recover } from './recovery.ts';
import { PackState } from './state.ts';
import {
  newSuperblock,
  readSuperblock,
  type Superblock,
  superblockName,
  writerBytes,
  writeSuperblock,
} from './superblock.ts';

export interface PackedOpening {
  store: ObjectStore;
  runtime: Runtime;
  capacity: number | undefined;
  addedBytes: number;
  /** Of this device, for the lock; undefined: none is taken. */
  folder: string | undefined;
}

/** A kind of silos of packs, by how the store of one is found. */
export function packedKind(
  name: string,
  storeOf: (config: SiloConfig, around: SiloSurroundings) => Promise<ObjectStore> | ObjectStore,
): SiloKind {
  const openingOf = async (config: SiloConfig, around: SiloSurroundings): Promise<PackedOpening> => {
    const { runtime, addedBytes, folder } = around;
    return { store: await storeOf(config, around), runtime, capacity: config.capacity, addedBytes, folder };
  };
  return {
    name,
    open: async (config, around) => openPackedSilo(await openingOf(config, around)),
    clear: async (config, around) => clearPackedSilo(await openingOf(config, around)),
  };
}

const probeName = 'probe';
const ownName = /^(silo\.json|probe|pack-\d{13}|checkpoint-\d{15}(-\d{5})?)$/;
/** Another process that had the silo before may have written last packs while this one looked. */
const openingsMax = 8;

export async function openPackedSilo(opening: PackedOpening): Promise<Silo> {
  const { store, runtime } = opening;
  const lock = await lockStore(opening);
  try {
    const known = await readSuperblock(store);
    if (known === undefined) await format(store, runtime);
    for (let attempt = 1; ; attempt++) {
      const silo = await openFormatted(opening, lock, attempt === 1 ? known : undefined);
      if (silo !== undefined) return silo;
      if (attempt >= openingsMax)
        throw new InfinitError('exists', `the silo in ${store.where} is in use by another process`);
    }
  } catch (error) {
    await store.close();
    await lock?.release();
    throw error;
  }
}

/** Deletes all that is ours; the silo formatted there next is another one. */
export async function clearPackedSilo(opening: PackedOpening): Promise<void> {
  const { store } = opening;
  const lock = await lockStore(opening);
  try {
    const names: string[] = [];
    for await (const { name } of store.list('')) if (ownName.test(name)) names.push(name);
    const requests = new Semaphore(limits.objectRequestsMax);
    // The superblock last: what is left of an interrupted clearing is still a silo.
    const content = names.filter((name) => name !== superblockName);
    await Promise.all(content.map((name) => requests.run(() => store.delete(name))));
    await store.delete(superblockName);
  } finally {
    await store.close();
    await lock?.release();
  }
}

/** Undefined when the last packs were not yet known: another attempt finds them. */
async function openFormatted(
  opening: PackedOpening,
  lock: FileLock | undefined,
  known: Superblock | undefined,
): Promise<Silo | undefined> {
  const { store, runtime, capacity, addedBytes } = opening;
  const found = known ?? (await readSuperblock(store));
  if (found === undefined) throw new InfinitError('corrupt', `${store.where} lost its ${superblockName}`);
  const superblock: Superblock = { ...found, openings: found.openings + 1, writer: runtime.random.bytes(writerBytes) };
  const seed = runtime.random.bytes(4).readInt32BE();
  const turns = new Turns(runtime.clock);
  const newState = () => new PackState(seed);
  const { state, checkpoint, last, stale, damaged } = await recover(store, superblock.salt, turns, newState);
  if (damaged) {
    const was = superblock.storeId;
    superblock.storeId = runtime.random.bytes(storeIdBytes);
    runtime.log.write('error', 'silo', 'acknowledged data is missing: the silo takes a new identity', {
      store: store.where,
      was: toHex(was),
      now: toHex(superblock.storeId),
    });
  }
  await writeSuperblock(store, superblock);
  if (await isTaken(store, last + 1, stale)) return undefined;
  const silo = new PackedSilo({ store, runtime, state, superblock, checkpoint, last, capacity, addedBytes, lock });
  await silo.start(damaged);
  // Behind the pack just written they would be in the way; before it they might have been somebody's who still writes.
  for (const number of stale) await store.delete(packName(number));
  return silo;
}

/** Whether somebody wrote the next pack since the packs were listed. One that was listed and does not count is in the way. */
async function isTaken(store: ObjectStore, next: number, stale: readonly number[]): Promise<boolean> {
  if (stale.includes(next)) {
    await store.delete(packName(next));
    return false;
  }
  try {
    await store.get(packName(next), { offset: 0, length: headerBytes });
    return true;
  } catch (error) {
    if (isError(error, 'not-found')) return false;
    throw error;
  }
}

async function format(store: ObjectStore, runtime: Runtime): Promise<void> {
  for await (const { name } of store.list(''))
    if (!ownName.test(name) || name.startsWith('pack-') || name.startsWith('checkpoint-'))
      throw new InfinitError('corrupt', `${store.where} is not empty and is no silo`, { hint: 'choose another path' });
  await writeSuperblock(store, newSuperblock(runtime.random, await isExclusive(store)), { onlyNew: true });
}

/** Whether the store refuses to replace what it was asked to create. */
async function isExclusive(store: ObjectStore): Promise<boolean> {
  try {
    await store.put(probeName, [Buffer.from('1')]);
    await store.put(probeName, [Buffer.from('2')], { onlyNew: true });
    return false;
  } catch (error) {
    if (isError(error, 'exists')) return true;
    throw error;
  } finally {
    await store.delete(probeName);
  }
}

async function lockStore({ store, runtime, folder }: PackedOpening): Promise<FileLock | undefined> {
  if (folder === undefined) return undefined;
  try {
    await runtime.files.makeDirectory(folder);
    const name = toHex(hash(Buffer.from(store.where))).slice(0, 32);
    return await lockSilo(runtime, `${folder}/${name}.lock`, store.where);
  } catch (error) {
    await store.close();
    throw error;
  }
}
