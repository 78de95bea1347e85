// The highest version this device has seen of each register (docs/protocols.md 2.8): a network that shows an older one, or
// another history, is caught. Kept in memory, or in a database behind it that is written off the data path.

import { type Bytes, equalBytes, toHex } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Address } from '../../block/address.ts';
import { recoveredAt, type StateImage } from '../../block/register-validity.ts';
import type { Cancel, Clock, Database } from '../../runtime/runtime.ts';

export interface SeenVersion {
  version: number;
  hash: Bytes;
  /** Generation of the owner's last recovery; versions begin anew with each. */
  recovered: number;
}

export interface SeenVersions {
  get(address: Address): Promise<SeenVersion | undefined>;
  /** Remembers, unless something later is remembered. */
  put(address: Address, seen: SeenVersion): void;
  /** Writes what is not written yet. */
  close(): Promise<void>;
}

const entriesMax = 65_536;
const unwrittenMax = 4096;
const writeDelayMs = 1000;

export function seenOf({ state, valueHash }: StateImage): SeenVersion {
  return { version: state.value.version, hash: valueHash, recovered: recoveredAt(state) };
}

function isLater(a: SeenVersion, b: SeenVersion): boolean {
  return a.recovered === b.recovered ? a.version > b.version : a.recovered > b.recovered;
}

/**
 * Throws `corrupt` with evidence when a chosen state is older than, or no descendant of, what was seen. Returns whether the owner
 * has recovered the register since: then it may say less.
 */
export function checkSeen(seen: SeenVersion | undefined, image: StateImage): boolean {
  if (!seen) return false;
  if (recoveredAt(image.state) > seen.recovered) return true;
  const { version, lineage } = image.state.value;
  const steps = version - seen.version;
  const there = steps === 0 ? image.valueHash : lineage[steps - 1];
  const isSame = recoveredAt(image.state) === seen.recovered;
  if (isSame && steps >= 0 && (there === undefined || equalBytes(there, seen.hash))) return false;
  throw new InfinitError('corrupt', 'rollback detected: the network shows an older state of a register', {
    data: {
      register: toHex(image.address),
      seen: { version: seen.version, hash: toHex(seen.hash) },
      shown: { version, hash: toHex(image.valueHash) },
    },
  });
}

export class MemorySeenVersions implements SeenVersions {
  private readonly entries = new Map<string, SeenVersion>();

  async get(address: Address): Promise<SeenVersion | undefined> {
    return this.entries.get(toHex(address));
  }

  put(address: Address, seen: SeenVersion): void {
    const name = toHex(address);
    const known = this.entries.get(name);
    if (known && !isLater(seen, known)) return;
    this.entries.delete(name);
    this.entries.set(name, seen);
    const oldest = this.entries.keys().next();
    if (this.entries.size > entriesMax && !oldest.done) this.entries.delete(oldest.value);
  }

  async close(): Promise<void> {}
}

/** Survives restarts. A crash may forget the last second: detection is weaker then, nothing else. */
export class DatabaseSeenVersions implements SeenVersions {
  private readonly database: Database;
  private readonly clock: Clock;
  private readonly memory = new MemorySeenVersions();
  private readonly dirty = new Map<string, { address: Address; seen: SeenVersion }>();
  private timer: Cancel | undefined;
  private writing: Promise<void> = Promise.resolve();

  private constructor(database: Database, clock: Clock) {
    this.database = database;
    this.clock = clock;
  }

  /** The database may hold other tables; closing it is the caller's. */
  static async open(database: Database, clock: Clock): Promise<DatabaseSeenVersions> {
    await database.exec(
      'CREATE TABLE IF NOT EXISTS seen_versions (address BLOB PRIMARY KEY, version INTEGER NOT NULL, hash BLOB NOT NULL)',
    );
    await database.exec(
      'CREATE TABLE IF NOT EXISTS seen_recoveries (address BLOB PRIMARY KEY, generation INTEGER NOT NULL)',
    );
    return new DatabaseSeenVersions(database, clock);
  }

  async get(address: Address): Promise<SeenVersion | undefined> {
    const known = (await this.memory.get(address)) ?? this.dirty.get(toHex(address))?.seen;
    if (known) return known;
    const row = await this.database.get(
      'SELECT version, hash, generation FROM seen_versions LEFT JOIN seen_recoveries USING (address) WHERE address = ?',
      [address],
    );
    if (!row || typeof row.version !== 'number' || !(row.hash instanceof Uint8Array)) return undefined;
    const recovered = typeof row.generation === 'number' ? row.generation : 0;
    const stored = { version: row.version, hash: row.hash, recovered };
    this.memory.put(address, stored);
    return stored;
  }

  put(address: Address, seen: SeenVersion): void {
    const name = toHex(address);
    const waiting = this.dirty.get(name);
    this.memory.put(address, seen);
    if (!waiting || isLater(seen, waiting.seen)) this.dirty.set(name, { address, seen });
    if (this.dirty.size >= unwrittenMax) void this.write().catch(() => {});
    this.timer ??= this.clock.after(writeDelayMs, () => {
      this.timer = undefined;
      void this.write().catch(() => {});
    });
  }

  async close(): Promise<void> {
    this.timer?.();
    this.timer = undefined;
    await this.write();
  }

  private write(): Promise<void> {
    const rows = [...this.dirty.values()];
    this.dirty.clear();
    const after = this.writing.catch(() => {});
    this.writing = after.then(() => (rows.length > 0 ? this.writeRows(rows) : undefined));
    return this.writing;
  }

  /** Versions seen before a recovery that was not known yet do not count any more. */
  private async noteRecovery(database: Database, address: Address, generation: number): Promise<void> {
    const row = await database.get('SELECT generation FROM seen_recoveries WHERE address = ?', [address]);
    if (typeof row?.generation === 'number' && row.generation >= generation) return;
    await database.run('DELETE FROM seen_versions WHERE address = ?', [address]);
    await database.run('INSERT OR REPLACE INTO seen_recoveries VALUES (?, ?)', [address, generation]);
  }

  private writeRows(rows: readonly { address: Address; seen: SeenVersion }[]): Promise<void> {
    return this.database.transaction(async (database) => {
      for (const { address, seen } of rows) {
        if (seen.recovered > 0) await this.noteRecovery(database, address, seen.recovered);
        await database.run(
          'INSERT INTO seen_versions VALUES (?, ?, ?) ON CONFLICT (address) DO UPDATE SET version = excluded.version, hash = excluded.hash WHERE excluded.version > version',
          [address, seen.version, seen.hash],
        );
      }
    });
  }
}
