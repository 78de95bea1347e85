// What a link of a device remembers between runs, in one small database of its state folder: contacts, the highest version
// seen of each register, the port it had.

import { type Bytes, fromHex, toHex } from '../base/bytes.ts';
import { decode, encode } from '../base/codec.ts';
import { isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type ContactStore, type NodeRecord, nodeRecord } from '../overlay/overlay.ts';
import { formatEndpoint, parseEndpoint } from '../runtime/endpoint.ts';
import type { Database, Endpoint, Runtime } from '../runtime/runtime.ts';
import type { AbsenceBook } from '../store/absence.ts';
import type { WitnessBook } from '../store/witness.ts';

const schema = `
  create table if not exists contact (id text primary key, record blob not null);
  create table if not exists passport (hash text primary key, document blob not null);
  create table if not exists witness (node text, store text, sequence integer not null, primary key (node, store));
  create table if not exists setting (name text primary key, value text not null);
`;

const witnessesMax = 4096;
/** Stores of one node: as many as its record may name. */
const storesWitnessedMax = 16;
const evictedName = 'evicted';
const drainedName = 'drained';
const endpointsName = 'endpoints';

/** Opened once a process; several processes of one link may share the file. */
export class NodeState implements ContactStore, WitnessBook, AbsenceBook {
  readonly database: Database;

  private constructor(database: Database) {
    this.database = database;
  }

  static async open(runtime: Runtime, folder: string): Promise<NodeState> {
    await runtime.files.makeDirectory(folder);
    const database = await runtime.databases.open(`${folder}/node.sqlite`);
    await database.exec(schema);
    return new NodeState(database);
  }

  async load(): Promise<NodeRecord[]> {
    const rows = await this.database.all('select record from contact limit ?', [limits.knownContactsMax]);
    const records: NodeRecord[] = [];
    for (const row of rows) {
      try {
        records.push(decode(nodeRecord, row.record as Uint8Array));
      } catch (error) {
        if (!isError(error, 'corrupt')) throw error; // a record of an older format: it will be learned again
      }
    }
    return records;
  }

  async save(records: readonly NodeRecord[]): Promise<void> {
    await this.database.transaction(async (database) => {
      await database.run('delete from contact');
      for (const record of records.slice(0, limits.knownContactsMax)) {
        await database.run('insert or replace into contact values (?, ?)', [
          toHex(record.id),
          encode(nodeRecord, record),
        ]);
      }
    });
  }

  /** Passports met, as JSON. */
  async passports(limit: number): Promise<Bytes[]> {
    const rows = await this.database.all('select document from passport limit ?', [limit]);
    return rows.map((row) => row.document as Bytes);
  }

  async rememberPassport(hash: Bytes, document: Bytes): Promise<void> {
    await this.database.run('insert or replace into passport values (?, ?)', [toHex(hash), document]);
  }

  /** Counts of other nodes' stores; the oldest are forgotten beyond the limit of contacts. */
  async remember(node: Bytes, store: Bytes, sequence: number): Promise<void> {
    await this.database.run(
      'insert into witness values (?, ?, ?) on conflict (node, store) do update set sequence = max(sequence, excluded.sequence)',
      [toHex(node), toHex(store), sequence],
    );
    await this.database.run(
      'delete from witness where node = ? and rowid not in (select rowid from witness where node = ? order by rowid desc limit ?)',
      [toHex(node), toHex(node), storesWitnessedMax],
    );
    await this.database.run(
      'delete from witness where rowid in (select rowid from witness order by rowid desc limit -1 offset ?)',
      [witnessesMax],
    );
  }

  async recall(node: Bytes, store: Bytes): Promise<number | undefined> {
    const row = await this.database.get('select sequence from witness where node = ? and store = ?', [
      toHex(node),
      toHex(store),
    ]);
    return row?.sequence as number | undefined;
  }

  async loadEvicted(): Promise<Bytes[]> {
    const names = ((await this.setting(evictedName)) ?? '').split(' ');
    return names.filter((name) => /^[0-9a-f]{64}$/.test(name)).map(fromHex);
  }

  async saveEvicted(nodes: readonly Bytes[]): Promise<void> {
    await this.set(evictedName, nodes.map(toHex).join(' '));
  }

  /** Whether others took over, when the storage node last ended, all it held: it is to run again only when a person says so. */
  async isDrained(): Promise<boolean> {
    return (await this.setting(drainedName)) === 'yes';
  }

  async setDrained(is: boolean): Promise<void> {
    await this.set(drainedName, is ? 'yes' : '');
  }

  /** Where the storage node of this device is, or was, for its clients. */
  async told(): Promise<Endpoint[]> {
    const told = (await this.setting(endpointsName)) ?? '';
    return told.split(' ').filter(Boolean).map(parseEndpoint);
  }

  async tell(endpoints: readonly Endpoint[]): Promise<void> {
    await this.set(endpointsName, endpoints.map(formatEndpoint).join(' '));
  }

  async setting(name: string): Promise<string | undefined> {
    const row = await this.database.get('select value from setting where name = ?', [name]);
    return row?.value as string | undefined;
  }

  async set(name: string, value: string): Promise<void> {
    await this.database.run('insert or replace into setting values (?, ?)', [name, value]);
  }

  close(): Promise<void> {
    return this.database.close();
  }
}
