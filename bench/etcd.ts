// etcd as a peer for measurements: three members on loopback, and a client that speaks its gRPC interface over one HTTP/2
// session to the leader, which is how it is fastest (docs in bench/RESULTS.md).

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, connect } from 'node:http2';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Etcd {
  put(key: string, value: Buffer): Promise<void>;
  get(key: string): Promise<Buffer | undefined>;
  pids: number[];
  stop(): Promise<void>;
}

export function etcdInstalled(): boolean {
  try {
    execFileSync('etcd', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function varint(value: number): Buffer {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...out, rest]);
    out.push((rest % 128) | 128);
  }
}

/** A length-delimited protobuf field. */
function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes]);
}

/** The length-delimited fields of a protobuf message with that number; others are skipped. */
function* fields(message: Buffer, wanted: number): Iterable<Buffer> {
  let at = 0;
  const readVarint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at++] as number;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = readVarint();
    if ((tag & 7) === 0) readVarint();
    else if ((tag & 7) === 2) {
      const length = readVarint();
      if (tag >> 3 === wanted) yield message.subarray(at, at + length);
      at += length;
    } else throw new Error('unexpected wire type');
  }
}

function callUnary(session: ClientHttp2Session, path: string, message: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const parts: Buffer[] = [];
    let status: unknown;
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('trailers', (headers) => (status = headers['grpc-status']));
    stream.on('response', (headers) => (status ??= headers['grpc-status']));
    stream.on('error', reject);
    stream.on('end', () => {
      if (status !== '0') reject(new Error(`grpc status ${String(status)}`));
      else resolve(Buffer.concat(parts).subarray(5));
    });
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([prefix, message]));
  });
}

/** Starts three members in a temporary folder and connects to the leader. */
export async function startEtcd(): Promise<Etcd> {
  const folder = mkdtempSync(join(tmpdir(), 'infinit-etcd-'));
  const ports = await Promise.all([0, 1, 2, 3, 4, 5].map(freePort));
  const client = (i: number) => `http://127.0.0.1:${ports[i]}`;
  const peer = (i: number) => `http://127.0.0.1:${ports[i + 3]}`;
  const cluster = [0, 1, 2].map((i) => `n${i}=${peer(i)}`).join();
  const members: ChildProcess[] = [0, 1, 2].map((i) =>
    spawn(
      'etcd',
      [
        ...['--name', `n${i}`, '--data-dir', join(folder, `n${i}`), '--initial-cluster', cluster],
        ...['--listen-client-urls', client(i), '--advertise-client-urls', client(i)],
        ...['--listen-peer-urls', peer(i), '--initial-advertise-peer-urls', peer(i), '--log-level', 'error'],
      ],
      { stdio: 'ignore' },
    ),
  );
  const stop = async () => {
    for (const member of members) member.kill('SIGKILL');
    await Promise.all(members.map((member) => new Promise((resolve) => member.once('exit', resolve))));
    rmSync(folder, { recursive: true, force: true });
  };
  const leader = await findLeader([0, 1, 2].map(client));
  if (leader === undefined) {
    await stop();
    throw new Error('etcd has no leader after 30 s');
  }
  const session = connect(leader);
  return {
    pids: members.map((member) => member.pid as number),
    put: async (key, value) => {
      await callUnary(session, '/etcdserverpb.KV/Put', Buffer.concat([field(1, Buffer.from(key)), field(2, value)]));
    },
    get: async (key) => {
      const reply = await callUnary(session, '/etcdserverpb.KV/Range', field(1, Buffer.from(key)));
      for (const kv of fields(reply, 2)) for (const value of fields(kv, 5)) return value;
      return undefined;
    },
    stop: async () => {
      session.destroy();
      await stop();
    },
  };
}

async function findLeader(urls: string[]): Promise<string | undefined> {
  for (let tries = 0; tries < 150; tries++) {
    for (const url of urls) {
      try {
        const reply = await fetch(`${url}/v3/maintenance/status`, { method: 'POST', body: '{}' });
        const status = (await reply.json()) as { leader?: string; header?: { member_id?: string } };
        if (status.leader !== undefined && status.leader === status.header?.member_id) return url;
      } catch {
        // not up yet
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return undefined;
}
