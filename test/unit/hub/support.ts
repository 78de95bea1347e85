// A hub in memory with a clock that tests rule, people with keys, and requests signed as clients sign them.

import { toBase64, utf8 } from '../../../src/core/base/bytes.ts';
import type { Metrics } from '../../../src/core/base/metrics.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { type KeyPair, keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { boxKeyPair, sealTo } from '../../../src/core/crypto/sealed-box.ts';
import type {
  NetworkDescriptor,
  PassportDescriptor,
  VolumeDescriptor,
} from '../../../src/core/descriptor/descriptor.ts';
import { signNetwork, signPassport, signVolume } from '../../../src/core/descriptor/signing.ts';
import type { HubConnection, HubRequest } from '../../../src/core/hub/hub.ts';
import { HubApi, type HubOptions } from '../../../src/core/hub/server/api.ts';
import { SqlHubStore } from '../../../src/core/hub/server/sql-store.ts';
import { signRequest } from '../../../src/core/hub/signature.ts';
import type { Clock } from '../../../src/core/runtime/runtime.ts';
import { openSqlite, SerialDatabase } from '../../../src/core/runtime/system/databases.ts';
import { SeededRandom } from '../../simulator/runtime/random.ts';
import { checkAnswer } from './openapi.ts';

/** 2026-01-01. */
export const start = 1_767_225_600_000;
export const hubHost = 'hub.example.org';

export interface Person {
  name: string;
  key: KeyPair;
}

export function person(name: string, seed = name): Person {
  return { name, key: keyPairFromSeed(hash(utf8(`person ${seed}`))) };
}

export interface Answered {
  status: number;
  body: Record<string, unknown>;
  headers: Record<string, string>;
}

export class TestHub {
  nowMs = start;
  readonly logged: string[] = [];
  readonly store: SqlHubStore;
  readonly random = new SeededRandom('hub');
  private api!: HubApi;

  private constructor(store: SqlHubStore) {
    this.store = store;
  }

  static async open({ metrics, ...options }: Partial<HubOptions> & { metrics?: Metrics } = {}): Promise<TestHub> {
    const store = await SqlHubStore.open(new SerialDatabase(await openSqlite(':memory:')));
    const hub = new TestHub(store);
    const log = { write: (_level: string, _component: string, message: string) => void hub.logged.push(message) };
    const runtime = { clock: hub.clock, random: hub.random, log, ...(metrics && { metrics }) };
    hub.api = await HubApi.open({ runtime, store, ...options });
    return hub;
  }

  get clock(): Clock {
    const now = () => this.nowMs;
    return { now, monotonic: now, sleep: async () => {}, after: () => () => {} };
  }

  /** As a client sees it. */
  get connection(): HubConnection {
    return {
      host: hubHost,
      isExposed: false,
      exchange: (request) => this.api.handle({ ...request, host: hubHost, remote: '192.0.2.1' }),
    };
  }

  /** A request that is not signed. */
  request(method: string, path: string, body?: unknown, changes: Partial<HubRequest> = {}): HubRequest {
    const [bare = '', query = ''] = path.split('?');
    const content = body === undefined ? Buffer.alloc(0) : utf8(JSON.stringify(body));
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const sent = { method, host: hubHost, path: bare, query, headers: type, body: content, remote: '192.0.2.1' };
    return { ...sent, ...changes };
  }

  signed(by: Person, method: string, path: string, body?: unknown, changes: Partial<HubRequest> = {}): HubRequest {
    const request = this.request(method, path, body, changes);
    const times = { nowMs: this.nowMs, nonce: this.random.bytes(16) };
    return { ...request, headers: { ...request.headers, ...signRequest(request, by.name, by.key, times) } };
  }

  /** What the OpenAPI document does not tell of throws. */
  async send(request: HubRequest): Promise<Answered> {
    const { status, body, headers } = await this.api.handle(request);
    const type = headers['content-type'] ?? '';
    const json = type === 'application/json' ? (JSON.parse(body.toString()) as Record<string, unknown>) : {};
    checkAnswer(request.method, request.path, status, type, json);
    return { status, headers, body: json };
  }

  ask(by: Person | undefined, method: string, path: string, body?: unknown): Promise<Answered> {
    return this.send(by === undefined ? this.request(method, path, body) : this.signed(by, method, path, body));
  }

  async enrol(...people: Person[]): Promise<void> {
    for (const one of people) await this.must(201, one, 'PUT', `/users/${one.name}`, userBody(one));
  }

  /** The body of an answer with that status. */
  async must(
    status: number,
    by: Person | undefined,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Record<string, unknown>> {
    const answer = await this.ask(by, method, path, body);
    if (answer.status !== status)
      throw new Error(`${method} ${path}: ${answer.status}, not ${status}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** The code of a refusal. */
  async refused(status: number, by: Person | undefined, method: string, path: string, body?: unknown): Promise<string> {
    const { error, reason } = await this.must(status, by, method, path, body);
    if (typeof reason !== 'string' || reason === '') throw new Error(`${method} ${path}: no reason`);
    return String(error);
  }

  close(): Promise<void> {
    return this.store.close();
  }
}

export function publicKey({ key }: Person): { ed25519: string } {
  return { ed25519: toBase64(key.publicKey) };
}

export function userBody(who: Person, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { name: who.name, public_key: publicKey(who), ...more };
}

const members = hash(utf8('members'));

export function networkOf(owner: Person, name: string, changes: Partial<NetworkDescriptor> = {}): NetworkDescriptor {
  return signNetwork(owner.key, {
    name: `${owner.name}/${name}`,
    owner: publicKey(owner),
    version: '1.0.0',
    serial: 1,
    consensus: { type: 'paxos', 'replication-factor': 3, 'eviction-delay': 600_000 },
    overlay: { type: 'chord' },
    encrypt_options: { encrypt_at_rest: true, encrypt_rpc: true, validate_signatures: true },
    members_key: toBase64(boxKeyPair(members).publicKey),
    members_salt: toBase64(Buffer.alloc(16, 7)),
    founding: null,
    ...changes,
  });
}

export function passportOf(
  signer: Person,
  user: Person,
  network: NetworkDescriptor,
  changes: Partial<PassportDescriptor> = {},
): PassportDescriptor {
  return signPassport(signer.key, {
    user: publicKey(user),
    network: network.name,
    allow_write: true,
    allow_storage: true,
    allow_sign: false,
    serial: 5,
    members_key: toBase64(sealTo(user.key.publicKey, members, hash(utf8('once')))),
    ...changes,
  });
}

export function volumeOf(
  owner: Person,
  name: string,
  network: string,
  changes: Partial<VolumeDescriptor> = {},
): VolumeDescriptor {
  return signVolume(owner.key, {
    name: `${owner.name}/${name}`,
    network,
    owner: publicKey(owner),
    tree_id: toBase64(Buffer.alloc(16, 3)),
    block_size: 1_048_576,
    default_permissions: '',
    mount_options: {},
    serial: 1,
    ...changes,
  });
}

/** The same text of a node id. */
export const nodeId = toBase64(Buffer.alloc(32, 9));
export const nodePath = encodeURIComponent(nodeId);
