// Brings the state of a silo of packs up to its last pack: the newest checkpoint, then the tables of the packs behind it. What
// was acknowledged and is missing is found by what each pack says of those before it.

import { isError } from '../../base/errors.ts';
import { Semaphore } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { type Turns, turnCosts } from '../turns.ts';
import { type Checkpoint, loadCheckpoint } from './checkpoint.ts';
import { type PackHeader, type PackRow, packName, packNumber, readTable, tableBytes } from './format.ts';
import type { ObjectStore } from './object-store.ts';
import type { PackState } from './state.ts';

export interface Recovered {
  state: PackState;
  checkpoint: Checkpoint | undefined;
  /** The number of the last pack that counts. */
  last: number;
  /** Packs behind it that were never acknowledged. */
  stale: number[];
  /** Something that was acknowledged is missing. */
  damaged: boolean;
}

interface Table {
  header: PackHeader;
  rows: PackRow[];
}

/** The first request for a table asks for so much: most are shorter. */
const tableGuessBytes = 64 * 1024;

export async function recover(
  store: ObjectStore,
  salt: number,
  turns: Turns,
  newState: () => PackState,
): Promise<Recovered> {
  const sizes = await packSizes(store);
  const state = newState();
  const checkpoint = await loadCheckpoint(store, state, turns, salt);
  const tail = [...sizes.keys()].filter((number) => number > (checkpoint?.pack ?? 0)).sort((a, b) => a - b);
  const tables = await readTables(store, tail, salt);
  const newest = Math.max(0, ...[...tables.values()].map((table) => table?.header.checkpoint ?? 0));
  if (newest <= (checkpoint?.number ?? 0)) {
    for (const [number, bytes] of sizes) if (number <= (checkpoint?.pack ?? 0)) state.addPack(number, bytes);
    await state.recount(turns);
    return { checkpoint, ...(await replay({ state, from: checkpoint?.pack ?? 0, tail, tables, sizes }, turns)) };
  }
  // A checkpoint is lost, and with it what packs that are gone had said: all that is left is read.
  const left = newState();
  const all = [...sizes.keys()].sort((a, b) => a - b);
  const everything = await readTables(store, all, salt);
  const course = { state: left, from: Math.max(0, (all[0] ?? 1) - 1), tail: all, tables: everything, sizes };
  return { checkpoint: undefined, ...(await replay(course, turns, new Map())), damaged: true };
}

interface Course {
  state: PackState;
  /** The pack behind which the log begins. */
  from: number;
  tail: readonly number[];
  tables: ReadonlyMap<number, Table | undefined>;
  sizes: ReadonlyMap<number, number>;
}

/** `deleted`: of a log with holes, when each key was deleted last. */
async function replay(
  { state, from, tail, tables, sizes }: Course,
  turns: Turns,
  deleted?: Map<string, number>,
): Promise<Omit<Recovered, 'checkpoint'>> {
  const confirmed = Math.max(from, ...[...tables.values()].map((table) => table?.header.confirmed ?? 0));
  let [last, opening, damaged] = [from, 0, false];
  for (const [at, number] of tail.entries()) {
    const table = tables.get(number);
    const isMissing = number > last + 1;
    const isLate = table !== undefined && table.header.opening < opening;
    if ((isMissing || isLate) && last >= confirmed) return { state, last, stale: tail.slice(at), damaged };
    damaged ||= isMissing || table?.header.bytes !== sizes.get(number);
    last = number;
    state.addPack(number, sizes.get(number) ?? 0);
    if (table === undefined) continue;
    opening = table.header.opening;
    await turns.take(table.rows.length * turnCosts.applied);
    for (const row of table.rows) if (deleted === undefined || counts(state, row, deleted)) state.apply(number, row);
  }
  return { state, last, stale: [], damaged };
}

/** Whether a row says something newer of its key than what was met so far, in a log with holes. */
function counts(state: PackState, row: PackRow, deleted: Map<string, number>): boolean {
  const name = `${row.space}/${row.key.toString('latin1')}`;
  const known = Math.max(state.index.get(row.space, row.key)?.sequence ?? 0, deleted.get(name) ?? 0);
  if (row.sequence < known) return false;
  if (row.deletion) deleted.set(name, row.sequence);
  // What it was moved from may be gone.
  row.moved = false;
  return true;
}

async function packSizes(store: ObjectStore): Promise<Map<number, number>> {
  const sizes = new Map<number, number>();
  for await (const { name, bytes } of store.list('pack-')) {
    const number = packNumber(name);
    if (number !== undefined) sizes.set(number, bytes);
  }
  return sizes;
}

/** Undefined for a pack that has none. */
async function readTables(
  store: ObjectStore,
  numbers: readonly number[],
  salt: number,
): Promise<Map<number, Table | undefined>> {
  const requests = new Semaphore(limits.objectRequestsMax);
  const tables = await Promise.all(
    numbers.map((number) => requests.run(async () => [number, await tableOf(store, number, salt)] as const)),
  );
  return new Map(tables);
}

async function tableOf(store: ObjectStore, number: number, salt: number): Promise<Table | undefined> {
  const name = packName(number);
  try {
    let start = await store.get(name, { offset: 0, length: tableGuessBytes });
    const bytes = tableBytes(start);
    if (bytes !== undefined && bytes > start.length) start = await store.get(name, { offset: 0, length: bytes });
    const table = readTable(start, salt);
    // Not the whole object, which the rows would keep in memory.
    return table.header.number === number ? { ...table, rows: table.rows.map(copied) } : undefined;
  } catch (error) {
    if (isError(error, 'corrupt', 'not-found')) return undefined;
    throw error;
  }
}

function copied(row: PackRow): PackRow {
  return { ...row, key: Buffer.from(row.key), start: Buffer.from(row.start) };
}
