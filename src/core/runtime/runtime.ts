// The only door to the outside: time, chance, the network, the disk, relational state, heavy work, the log. The system
// implementation is in `system/`; the simulator supplies another, seeded one, and the same node code runs in it. Layers from
// block to volume reach the outside through these contracts alone; the tidy test enforces it.

import type { Bytes } from '../base/bytes.ts';
import type { Abortable } from '../base/lifecycle.ts';
import type { Metrics } from '../base/metrics.ts';

export interface Runtime {
  clock: Clock;
  random: Random;
  transport: Transport;
  datagrams: Datagrams;
  http: HttpClient;
  programs: Programs;
  files: Files;
  databases: Databases;
  offload: Offload;
  log: Log;
  /** Where counts and times go; absent while nobody watches the process, and then nothing is measured. */
  metrics?: Metrics;
}

/** Takes a timer off; idempotent. */
export type Cancel = () => void;

export interface Clock {
  /** Wall time, milliseconds since 1970. May jump; never guards safety. */
  now(): number;
  /** Milliseconds since some start; never goes back and counts time suspended. Leases are measured with it. */
  monotonic(): number;
  /** Resolves after the time; rejects with `cancelled` when the signal fires first. */
  sleep(timeMs: number, options?: Abortable): Promise<void>;
  /** Calls once after the time, unless cancelled; after 0: when all that is ready now has run. */
  after(timeMs: number, task: () => void): Cancel;
}

export interface Random {
  /** Unpredictable bytes (seeded in the simulator). */
  bytes(count: number): Buffer;
  /** An integer in [0, limit). */
  below(limit: number): number;
  /** A number in [0, 1). */
  fraction(): number;
}

/** Where a node can be reached. Text form `host:port`, IPv6 hosts in brackets. */
export interface Endpoint {
  host: string;
  port: number;
}

/** The Ed25519 key a side proves on every connection: raw 32-byte public key and its seed. */
export interface TransportIdentity {
  publicKey: Bytes;
  seed: Bytes;
}

/** Connections whose remote key is already proved (TLS 1.3 here, fiat in the simulator). Passports are checked above. */
export interface Transport {
  /**
   * Throws `unavailable` when nobody answers and `denied` when `expectedKey` is given and another key answers.
   */
  dial(
    endpoint: Endpoint,
    identity: TransportIdentity,
    options?: Abortable & { expectedKey?: Bytes | undefined; timeoutMs?: number | undefined },
  ): Promise<Connection>;
  /** Port 0 asks for any free one. Throws `exists` when the port is taken. */
  listen(at: Endpoint, identity: TransportIdentity, accept: (connection: Connection) => void): Promise<Listener>;
  /**
   * A connection over what a third node carries, its keys proved as those of one that was dialled: who carries it learns nothing and
   * cannot pose as either end. The dialler speaks first. Throws as `dial` does; the carrier is closed then.
   */
  secure(
    carrier: Carrier,
    side: 'dialler' | 'listener',
    identity: TransportIdentity,
    options?: Abortable & { timeoutMs?: number | undefined },
  ): Promise<Connection>;
  /** Addresses of this host that others may use, without loopback unless there is nothing else. */
  localAddresses(): string[];
  /** All addresses of a host name; empty when it does not resolve. */
  resolve(host: string): Promise<string[]>;
}

export interface Listener {
  readonly endpoint: Endpoint;
  close(): Promise<void>;
}

/**
 * A bidirectional stream of frames with a proved remote key. Frames arrive whole, in order; in the simulator single frames
 * may be lost, delayed or repeated, so what runs above needs deadlines. The first frame each side sends has at most
 * `limits.firstFrameBytesMax` bytes: a stranger gets no more memory than that.
 */
export interface Connection {
  readonly remoteKey: Bytes;
  readonly remote: Endpoint;
  /** Queues one frame made of the parts, which must not change afterwards. Frames of one tick leave in one write. */
  send(parts: readonly Bytes[]): void;
  /** Bytes queued and not yet handed to the system. */
  readonly queuedBytes: number;
  /** Resolves when the queue is below its low mark; at once when it is. Rejects when the connection closes. */
  drained(): Promise<void>;
  /** Exactly one receiver of each; set them before returning to the event loop. A frame's memory belongs to the receiver. */
  onFrame(receive: (frame: Buffer) => void): void;
  /** Called once, with the error when it was not a clean close. */
  onClose(closed: (error?: Error) => void): void;
  /** Stops reading until `resume`: back-pressure towards the remote. */
  pause(): void;
  resume(): void;
  close(error?: Error): void;
}

/** Bytes between two nodes, in order, by way of a third, who may read, change or stop them. */
export interface Carrier {
  /** Where the third is. */
  readonly remote: Endpoint;
  /** One at a time: resolves when the next may be sent. The bytes must not change afterwards. Rejects once it is closed. */
  send(bytes: Bytes): Promise<void>;
  /** One receiver of each; set them before returning to the event loop. The next bytes come when the receiver has resolved. */
  onData(receive: (bytes: Buffer) => Promise<void>): void;
  /** Called once, with the error when it was not a clean close. */
  onClose(closed: (error?: Error) => void): void;
  close(error?: Error): void;
}

export interface DatagramOptions {
  /** 0: any free one. With a group others of this host may have it too. */
  port: number;
  /** IPv4: hears what is sent to that group as well, by the interface with that address of this host. */
  group?: { address: string; by: string };
}

/** The way out of the local network, of IPv4. */
export interface Router {
  readonly address: string;
  /** Of this host, on the same network. */
  readonly own: string;
}

/** Single messages to the local network and routers: discovery, port mappings. Anybody may send any; they may be lost. */
export interface Datagrams {
  /** Where to what is elsewhere goes now; undefined when it goes nowhere, or this system does not tell. */
  router(): Promise<Router | undefined>;
  /** Throws `exists` when the port is taken, `unavailable` when there is no such interface. */
  open(options: DatagramOptions): Promise<DatagramSocket>;
}

export interface DatagramSocket {
  readonly port: number;
  /** What cannot be sent is lost. */
  send(bytes: Bytes, to: Endpoint): void;
  /** One receiver; set it before returning to the event loop. */
  onMessage(receive: (bytes: Buffer, from: Endpoint) => void): void;
  close(): void;
}

export interface HttpRequest {
  method: string;
  /** `http:` or `https:`; servers of the second prove their name by a certificate the system trusts. */
  url: string;
  headers?: Readonly<Record<string, string>>;
  /** Sent one after another, with a content-length. */
  body?: readonly Bytes[];
  /** From the call to the last byte of the answer. */
  timeoutMs: number;
  /** `full` for a longer answer. */
  responseBytesMax: number;
}

export interface HttpResponse {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  body: Buffer;
}

/** Services that speak HTTP: object stores, the hub. */
export interface HttpClient {
  /** Whatever the status. Redirections are not followed. Throws `unavailable` when there is no answer, or not in time. */
  request(request: HttpRequest, options?: Abortable): Promise<HttpResponse>;
}

/** How a program ended, and the last of what it said on its error stream. */
export interface ProgramEnd {
  code: number | undefined;
  message: string;
}

/** A running program. */
export interface Program {
  write(parts: readonly Bytes[]): void;
  /** One receiver of each; set them before returning to the event loop. */
  onData(receive: (bytes: Buffer) => void): void;
  onEnd(ended: (end: ProgramEnd) => void): void;
  stop(): void;
}

/** Programs of the system that are spoken to over their standard streams, such as `ssh`. */
export interface Programs {
  /** Words are passed as they are, through no shell. Throws `unavailable` when it cannot be started. */
  start(program: string, words: readonly string[]): Promise<Program>;
}

export interface FileStat {
  kind: 'file' | 'directory' | 'other';
  bytes: number;
}

/** Paths are absolute. Errors: `not-found`, `exists`, `denied`, `full` (no space), `unavailable` (I/O error). */
export interface Files {
  read(path: string, options?: { limit?: number }): Promise<Buffer>;
  /** Replaces the file atomically and durably: temporary name, fsync, rename, fsync of the directory. */
  replace(path: string, content: Bytes, options?: { mode?: number }): Promise<void>;
  stat(path: string): Promise<FileStat | undefined>;
  /** Names in a directory, sorted; empty when it does not exist. */
  list(path: string): Promise<string[]>;
  /** With parents, mode 0700; fine when it exists. */
  makeDirectory(path: string): Promise<void>;
  /** Removes a file, or a directory with all it holds; fine when it does not exist. Durable. */
  remove(path: string): Promise<void>;
  open(path: string, options?: OpenOptions): Promise<File>;
  /** Makes creations, renames and removals in the directory durable. */
  syncDirectory(path: string): Promise<void>;
  /**
   * Takes an exclusive lock that ends with the process, however it ends. Throws `exists` naming the holder's pid when
   * another process (or another owner in this one) has it.
   */
  lock(path: string): Promise<FileLock>;
  /** Bytes a caller may still write on the file system that holds the path, and its size. */
  space(path: string): Promise<{ freeBytes: number; totalBytes: number }>;
}

export interface OpenOptions {
  /** `read`: must exist. `write`: must exist, read and write. `create`: made when missing, read and write. */
  mode?: 'read' | 'write' | 'create';
  /** Every write is on the disk when it resolves (O_DSYNC). */
  durableWrites?: boolean;
  /** Past the page cache (O_DIRECT): buffers from `alignedBuffer`, offsets and lengths multiples of 4096. `unsupported` when refused. */
  direct?: boolean;
}

export interface File {
  /** Fills the buffer from the position; returns the bytes read, fewer only at the end of the file. */
  read(into: Bytes, position: number): Promise<number>;
  /** The same on the calling thread; only for data known to be in memory. */
  readSync(into: Bytes, position: number): number;
  write(from: Bytes, position: number): Promise<void>;
  sync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  bytes(): Promise<number>;
  close(): Promise<void>;
  /** A buffer whose memory suits direct I/O. */
  alignedBuffer(bytes: number): Buffer;
}

export interface FileLock {
  release(): Promise<void>;
}

export type SqlValue = string | number | null | Bytes;
export type SqlRow = Record<string, SqlValue>;

/** Small relational state. Loaded lazily, never on the data path. */
export interface Databases {
  /** A file, made when missing, or `postgres://…`. `corrupt` when the file is no database, `unavailable` without a server. */
  open(path: string): Promise<Database>;
}

export interface Database {
  /** One or more statements without parameters. */
  exec(sql: string): Promise<void>;
  run(sql: string, values?: readonly SqlValue[]): Promise<{ changes: number }>;
  get(sql: string, values?: readonly SqlValue[]): Promise<SqlRow | undefined>;
  all(sql: string, values?: readonly SqlValue[]): Promise<SqlRow[]>;
  /**
   * All or nothing, durable when it resolves; as if transactions of one database ran one after another, those of other processes
   * too. With a `lock` that is promised only among those with the same one, which is cheaper where processes share a server. The
   * task may run again from its start when another one came between.
   */
  transaction<T>(task: (database: Database) => Promise<T>, options?: { lock?: string }): Promise<T>;
  close(): Promise<void>;
}

/** Names of compression methods; the number stands in formats. */
export const codecIds = { none: 0, zstd: 1, brotli: 2 } as const;
export type CodecName = keyof typeof codecIds;

/** Work too heavy for the event loop, done elsewhere. */
export interface Offload {
  /** The best codec this process has. */
  readonly preferredCodec: CodecName;
  /** The compressed bytes, or undefined when they would not be at least 5 % smaller. */
  compress(data: Bytes, codec: CodecName): Promise<Buffer | undefined>;
  /** Throws `corrupt` for bad input or more than `limit` bytes of output, `unsupported` for a codec this process lacks. */
  decompress(data: Bytes, codec: CodecName, limit: number): Promise<Buffer>;
  /** As `decompress`, on the calling thread: for small inputs (tree nodes). */
  decompressSync(data: Bytes, codec: CodecName, limit: number): Buffer;
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** Facts are JSON-safe and never hold secrets. */
export interface Log {
  write(level: LogLevel, component: string, message: string, facts?: Record<string, unknown>): void;
}
