// The hub's store in a relational database, in the words of SQL that sqlite and PostgreSQL share. Descriptors are rows of one
// table by kind and name, with what they are looked up by beside them.

import { fromBase64, toBase64 } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Descriptors, DriveUser, PassportDescriptor } from '../../descriptor/descriptor.ts';
import { userHash } from '../../descriptor/keys.ts';
import type { Database, SqlValue } from '../../runtime/runtime.ts';
import { normalDn } from '../directory/distinguished-names.ts';
import type {
  Confirmation,
  DirectoryUser,
  HubKind,
  HubStore,
  Identity,
  Kept,
  NetworkEndpoints,
  NodeEndpoints,
  NodeUsage,
  Pairing,
  Picture,
  SealedIdentity,
  Selection,
  Ticket,
  Usage,
} from '../hub.ts';

const schemaVersion = 1;

const schema = `
  CREATE TABLE IF NOT EXISTS hub_meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
  CREATE TABLE IF NOT EXISTS descriptors (
    kind TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, network TEXT, member TEXT, hash TEXT,
    descriptor TEXT NOT NULL, PRIMARY KEY (kind, name));
  CREATE INDEX IF NOT EXISTS descriptors_owner ON descriptors (kind, owner);
  CREATE INDEX IF NOT EXISTS descriptors_network ON descriptors (kind, network);
  CREATE INDEX IF NOT EXISTS descriptors_member ON descriptors (kind, member);
  CREATE INDEX IF NOT EXISTS descriptors_hash ON descriptors (hash);
  CREATE TABLE IF NOT EXISTS identities (name TEXT PRIMARY KEY, identity TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS pairings (name TEXT PRIMARY KEY, sealed TEXT, until_ms BIGINT NOT NULL);
  CREATE INDEX IF NOT EXISTS pairings_until ON pairings (until_ms);
  CREATE TABLE IF NOT EXISTS pictures (name TEXT PRIMARY KEY, type TEXT NOT NULL, content TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS endpoints (
    network TEXT NOT NULL, member TEXT NOT NULL, node TEXT NOT NULL, said TEXT NOT NULL, at_ms BIGINT NOT NULL,
    PRIMARY KEY (network, member, node));
  CREATE TABLE IF NOT EXISTS node_usage (
    network TEXT NOT NULL, member TEXT NOT NULL, node TEXT NOT NULL, capacity BIGINT NOT NULL, used BIGINT NOT NULL,
    at_ms BIGINT NOT NULL, PRIMARY KEY (network, member, node));
  CREATE TABLE IF NOT EXISTS invitations (
    drive TEXT NOT NULL, member TEXT NOT NULL, invitation TEXT NOT NULL, PRIMARY KEY (drive, member));
  CREATE INDEX IF NOT EXISTS invitations_member ON invitations (member);
  CREATE TABLE IF NOT EXISTS confirmations (name TEXT PRIMARY KEY, confirmation TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS confirmed_addresses (name TEXT PRIMARY KEY, email TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS confirmed_addresses_email ON confirmed_addresses (email);
  CREATE TABLE IF NOT EXISTS delegate (one INTEGER PRIMARY KEY, seed TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS directory_users (dn TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, person TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS tickets (
    hash TEXT PRIMARY KEY, member TEXT NOT NULL, kind TEXT NOT NULL, until_ms BIGINT NOT NULL);
  CREATE INDEX IF NOT EXISTS tickets_member ON tickets (member);
  CREATE TABLE IF NOT EXISTS nonces (nonce TEXT PRIMARY KEY, until_ms BIGINT NOT NULL);
  CREATE INDEX IF NOT EXISTS nonces_until ON nonces (until_ms);
`;

export class SqlHubStore implements HubStore {
  private readonly database: Database;

  private constructor(database: Database) {
    this.database = database;
  }

  /** Makes the tables when they are not there. Throws `unsupported` when a later version made them. */
  static async open(database: Database): Promise<SqlHubStore> {
    await database.exec(schema);
    await database.run('INSERT INTO hub_meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING', [
      'version',
      schemaVersion,
    ]);
    const row = await database.get('SELECT value FROM hub_meta WHERE name = ?', ['version']);
    if (Number(row?.value) !== schemaVersion)
      throw new InfinitError('unsupported', `the hub's database has version ${row?.value}, not ${schemaVersion}`);
    return new SqlHubStore(database);
  }

  async get<K extends HubKind>(kind: K, name: string): Promise<Descriptors[K] | undefined> {
    const sql = 'SELECT descriptor FROM descriptors WHERE kind = ? AND name = ?';
    const row = await this.database.get(sql, [kind, name]);
    return row === undefined ? undefined : (JSON.parse(String(row.descriptor)) as Descriptors[K]);
  }

  async put<K extends HubKind>(kind: K, name: string, descriptor: Descriptors[K]): Promise<void> {
    const network = 'network' in descriptor ? descriptor.network : null;
    const member = kind === 'passport' ? name.slice((descriptor as PassportDescriptor).network.length + 1) : null;
    const hash = kind === 'user' ? userHash((descriptor as Descriptors['user']).public_key) : null;
    await this.database.run(
      `INSERT INTO descriptors (kind, name, owner, network, member, hash, descriptor) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (kind, name) DO UPDATE SET network = excluded.network, hash = excluded.hash,
         descriptor = excluded.descriptor`,
      [kind, name, name.split('/', 1)[0] ?? '', network, member, hash, JSON.stringify(descriptor)],
    );
  }

  delete(kind: HubKind, name: string): Promise<boolean> {
    return this.remove('DELETE FROM descriptors WHERE kind = ? AND name = ?', [kind, name]);
  }

  async deleteAll(kind: HubKind, selection: Selection): Promise<void> {
    const { where, values } = whereOf(kind, selection);
    await this.database.run(`DELETE FROM descriptors WHERE ${where}`, values);
  }

  async list<K extends HubKind>(kind: K, selection: Selection): Promise<Kept<K>[]> {
    const { where, values } = whereOf(kind, selection);
    const sql = `SELECT name, descriptor FROM descriptors WHERE ${where} ORDER BY name LIMIT ${limits.hubListMax}`;
    return (await this.database.all(sql, values)).map(({ name, descriptor }) => ({
      name: String(name),
      descriptor: JSON.parse(String(descriptor)) as Descriptors[K],
    }));
  }

  async count(kind: HubKind, selection: Selection): Promise<number> {
    const { where, values } = whereOf(kind, selection);
    const row = await this.database.get(`SELECT COUNT(*) AS n FROM descriptors WHERE ${where}`, values);
    return Number(row?.n);
  }

  async census(): Promise<Map<string, number>> {
    const rows = await this.database.all('SELECT kind, COUNT(*) AS n FROM descriptors GROUP BY kind ORDER BY kind');
    return new Map(rows.map(({ kind, n }) => [String(kind), Number(n)]));
  }

  async usersByHash(hash: string): Promise<Descriptors['user'][]> {
    const sql = `SELECT descriptor FROM descriptors WHERE hash = ? ORDER BY name LIMIT ${limits.hubListMax}`;
    const rows = await this.database.all(sql, [hash]);
    return rows.map(({ descriptor }) => JSON.parse(String(descriptor)) as Descriptors['user']);
  }

  async identity(user: string): Promise<Identity | undefined> {
    const row = await this.database.get('SELECT identity FROM identities WHERE name = ?', [user]);
    return row === undefined ? undefined : (JSON.parse(String(row.identity)) as Identity);
  }

  async setIdentity(user: string, identity: Identity | undefined): Promise<void> {
    if (identity === undefined) return void (await this.remove('DELETE FROM identities WHERE name = ?', [user]));
    await this.database.run(
      'INSERT INTO identities (name, identity) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET identity = excluded.identity',
      [user, JSON.stringify(identity)],
    );
  }

  async pairing(user: string): Promise<Pairing | undefined> {
    const row = await this.database.get('SELECT sealed, until_ms FROM pairings WHERE name = ?', [user]);
    if (row === undefined) return undefined;
    const sealed = row.sealed === null ? undefined : (JSON.parse(String(row.sealed)) as SealedIdentity);
    return { sealed, until_ms: Number(row.until_ms) };
  }

  async setPairing(user: string, pairing: Pairing | undefined): Promise<void> {
    if (pairing === undefined) return void (await this.remove('DELETE FROM pairings WHERE name = ?', [user]));
    const { sealed, until_ms } = pairing;
    await this.database.run(
      `INSERT INTO pairings (name, sealed, until_ms) VALUES (?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, until_ms = excluded.until_ms`,
      [user, sealed === undefined ? null : JSON.stringify(sealed), until_ms],
    );
  }

  async picture(of: string): Promise<Picture | undefined> {
    const row = await this.database.get('SELECT type, content FROM pictures WHERE name = ?', [of]);
    return row && { type: String(row.type), content: String(row.content) };
  }

  async setPicture(of: string, picture: Picture | undefined): Promise<void> {
    if (picture === undefined) return void (await this.remove('DELETE FROM pictures WHERE name = ?', [of]));
    await this.database.run(
      `INSERT INTO pictures (name, type, content) VALUES (?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET type = excluded.type, content = excluded.content`,
      [of, picture.type, picture.content],
    );
  }

  async endpoints(network: string, sinceMs: number): Promise<NetworkEndpoints> {
    const sql = `SELECT member, node, said FROM endpoints WHERE network = ? AND at_ms >= ?
      ORDER BY at_ms DESC LIMIT ${limits.hubListMax}`;
    const found = new Map<string, [string, NodeEndpoints][]>();
    for (const { member, node, said } of await this.database.all(sql, [network, sinceMs])) {
      const nodes = found.get(String(member)) ?? [];
      nodes.push([String(node), JSON.parse(String(said)) as NodeEndpoints]);
      found.set(String(member), nodes);
    }
    // A user may be called __proto__: no assignment by name.
    return Object.fromEntries([...found].map(([member, nodes]) => [member, Object.fromEntries(nodes)]));
  }

  countEndpoints(network: string, user: string): Promise<number> {
    return this.countNodes('endpoints', network, user);
  }

  async setEndpoints(network: string, user: string, node: string, said: NodeEndpoints, nowMs: number): Promise<void> {
    await this.database.run(
      `INSERT INTO endpoints (network, member, node, said, at_ms) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (network, member, node) DO UPDATE SET said = excluded.said, at_ms = excluded.at_ms`,
      [network, user, node, JSON.stringify(said), nowMs],
    );
  }

  deleteEndpoints(network: string, user: string, node: string): Promise<boolean> {
    return this.remove('DELETE FROM endpoints WHERE network = ? AND member = ? AND node = ?', [network, user, node]);
  }

  async usage(network: string, sinceMs: number): Promise<Usage> {
    const sql = `SELECT COALESCE(SUM(capacity), 0) AS capacity, COALESCE(SUM(used), 0) AS used FROM node_usage
      WHERE network = ? AND at_ms >= ?`;
    const row = await this.database.get(sql, [network, sinceMs]);
    return { capacity: Number(row?.capacity), usage: Number(row?.used) };
  }

  async nodes(network: string, sinceMs: number): Promise<NodeUsage[]> {
    const sql = `SELECT u.member, u.node, u.capacity, u.used, u.at_ms, e.said FROM node_usage u
      LEFT JOIN endpoints e ON e.network = u.network AND e.member = u.member AND e.node = u.node
      WHERE u.network = ? AND u.at_ms >= ? ORDER BY u.member, u.node LIMIT ${limits.hubPageItemsMax}`;
    return (await this.database.all(sql, [network, sinceMs])).map(({ member, node, capacity, used, at_ms, said }) => ({
      user: String(member),
      node: String(node),
      capacity: Number(capacity),
      usage: Number(used),
      atMs: Number(at_ms),
      ...(said && { endpoints: JSON.parse(String(said)) as NodeEndpoints }),
    }));
  }

  countUsage(network: string, user: string): Promise<number> {
    return this.countNodes('node_usage', network, user);
  }

  async setUsage(network: string, user: string, node: string, usage: Usage, nowMs: number): Promise<void> {
    await this.database.run(
      `INSERT INTO node_usage (network, member, node, capacity, used, at_ms) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (network, member, node) DO UPDATE SET capacity = excluded.capacity, used = excluded.used,
         at_ms = excluded.at_ms`,
      [network, user, node, usage.capacity, usage.usage, nowMs],
    );
  }

  async forgetNodes(of: { network: string } | { user: string }): Promise<void> {
    const [column, value] = 'network' in of ? ['network', of.network] : ['member', of.user];
    for (const table of ['endpoints', 'node_usage'])
      await this.database.run(`DELETE FROM ${table} WHERE ${column} = ?`, [value]);
  }

  async invitations(drive: string): Promise<Map<string, DriveUser>> {
    const sql = 'SELECT member, invitation FROM invitations WHERE drive = ? ORDER BY member';
    const rows = await this.database.all(sql, [drive]);
    return new Map(rows.map((row) => [String(row.member), JSON.parse(String(row.invitation)) as DriveUser]));
  }

  async setInvitation(drive: string, user: string, invitation: DriveUser | undefined): Promise<void> {
    if (invitation === undefined)
      return void (await this.remove('DELETE FROM invitations WHERE drive = ? AND member = ?', [drive, user]));
    await this.database.run(
      `INSERT INTO invitations (drive, member, invitation) VALUES (?, ?, ?)
       ON CONFLICT (drive, member) DO UPDATE SET invitation = excluded.invitation`,
      [drive, user, JSON.stringify(invitation)],
    );
  }

  async invitedTo(user: string): Promise<string[]> {
    const sql = `SELECT drive FROM invitations WHERE member = ? ORDER BY drive LIMIT ${limits.hubListMax}`;
    return (await this.database.all(sql, [user])).map(({ drive }) => String(drive));
  }

  async confirmation(user: string): Promise<Confirmation | undefined> {
    const row = await this.database.get('SELECT confirmation FROM confirmations WHERE name = ?', [user]);
    return row === undefined ? undefined : (JSON.parse(String(row.confirmation)) as Confirmation);
  }

  async setConfirmation(user: string, confirmation: Confirmation | undefined): Promise<void> {
    await this.remove('DELETE FROM confirmed_addresses WHERE name = ?', [user]);
    if (confirmation === undefined) return void (await this.remove('DELETE FROM confirmations WHERE name = ?', [user]));
    await this.database.run(
      `INSERT INTO confirmations (name, confirmation) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET confirmation = excluded.confirmation`,
      [user, JSON.stringify(confirmation)],
    );
    if (!confirmation.confirmed) return;
    const sql = 'INSERT INTO confirmed_addresses (name, email) VALUES (?, ?)';
    await this.database.run(sql, [user, confirmation.email.toLowerCase()]);
  }

  async confirmedUsers(address: string): Promise<string[]> {
    const sql = `SELECT name FROM confirmed_addresses WHERE email = ? ORDER BY name LIMIT ${limits.hubListMax}`;
    return (await this.database.all(sql, [address])).map(({ name }) => String(name));
  }

  async delegateSeed(fresh: Uint8Array): Promise<Buffer> {
    const sql = 'INSERT INTO delegate (one, seed) VALUES (1, ?) ON CONFLICT (one) DO NOTHING';
    await this.database.run(sql, [toBase64(fresh)]);
    return fromBase64(String((await this.database.get('SELECT seed FROM delegate', []))?.seed));
  }

  async directoryUser(by: { dn: string } | { name: string }): Promise<DirectoryUser | undefined> {
    const [column, value] = 'dn' in by ? ['dn', normalDn(by.dn)] : ['name', by.name];
    const row = await this.database.get(`SELECT person FROM directory_users WHERE ${column} = ?`, [value]);
    return row === undefined ? undefined : (JSON.parse(String(row.person)) as DirectoryUser);
  }

  async setDirectoryUser(user: DirectoryUser): Promise<void> {
    const values = [normalDn(user.dn), user.name, JSON.stringify(user)];
    await this.remove('DELETE FROM directory_users WHERE dn = ? OR name = ?', values.slice(0, 2));
    await this.database.run('INSERT INTO directory_users (dn, name, person) VALUES (?, ?, ?)', values);
  }

  async putTicket(hash: string, { user, kind, until_ms }: Ticket): Promise<void> {
    const sql = 'INSERT INTO tickets (hash, member, kind, until_ms) VALUES (?, ?, ?, ?)';
    await this.database.run(sql, [hash, user, kind, until_ms]);
  }

  async ticket(hash: string): Promise<Ticket | undefined> {
    const row = await this.database.get('SELECT member, kind, until_ms FROM tickets WHERE hash = ?', [hash]);
    if (row === undefined) return undefined;
    return { user: String(row.member), kind: row.kind as Ticket['kind'], until_ms: Number(row.until_ms) };
  }

  deleteTicket(hash: string): Promise<boolean> {
    return this.remove('DELETE FROM tickets WHERE hash = ?', [hash]);
  }

  async deleteTickets(user: string, kind: Ticket['kind'], but: number): Promise<void> {
    const last = `SELECT hash FROM tickets WHERE member = ? AND kind = ? ORDER BY until_ms DESC LIMIT ${but}`;
    const sql = `DELETE FROM tickets WHERE member = ? AND kind = ? AND hash NOT IN (${last})`;
    await this.remove(sql, [user, kind, user, kind]);
  }

  async useNonce(nonce: string, untilMs: number): Promise<boolean> {
    const sql = 'INSERT INTO nonces (nonce, until_ms) VALUES (?, ?) ON CONFLICT (nonce) DO NOTHING';
    return (await this.database.run(sql, [nonce, untilMs])).changes === 1;
  }

  async sweep(nowMs: number): Promise<void> {
    for (const table of ['nonces', 'tickets'])
      await this.database.run(`DELETE FROM ${table} WHERE until_ms < ?`, [nowMs]);
    await this.database.run('UPDATE pairings SET sealed = NULL WHERE until_ms < ? AND sealed IS NOT NULL', [nowMs]);
    await this.database.run('DELETE FROM pairings WHERE until_ms < ?', [nowMs - limits.hubPairingMemoryMs]);
    const oldest = nowMs - limits.hubNodeMemoryMs;
    for (const table of ['endpoints', 'node_usage'])
      await this.database.run(`DELETE FROM ${table} WHERE at_ms < ?`, [oldest]);
  }

  transaction<T>(lock: string, task: (store: HubStore) => Promise<T>): Promise<T> {
    return this.database.transaction((inside) => task(new SqlHubStore(inside)), { lock });
  }

  close(): Promise<void> {
    return this.database.close();
  }

  private async countNodes(table: 'endpoints' | 'node_usage', network: string, user: string): Promise<number> {
    const sql = `SELECT COUNT(*) AS n FROM ${table} WHERE network = ? AND member = ?`;
    return Number((await this.database.get(sql, [network, user]))?.n);
  }

  private async remove(sql: string, values: readonly SqlValue[]): Promise<boolean> {
    return (await this.database.run(sql, values)).changes > 0;
  }
}

function whereOf(kind: HubKind, { owner, network, user }: Selection): { where: string; values: SqlValue[] } {
  const asked = Object.entries({ kind, owner, network, member: user }).filter(([, value]) => value !== undefined);
  return {
    where: asked.map(([column]) => `${column} = ?`).join(' AND '),
    values: asked.map(([, value]) => value as string),
  };
}
