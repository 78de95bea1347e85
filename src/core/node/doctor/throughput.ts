// Measuring what goes through between two machines, over plain TCP: `infinit doctor networking` without --host waits, with it calls.
// A line of JSON says what is wanted: `{"mode":"upload"|"download","packet_size":N,"packets_count":N}` -> after the bytes, from the
// side that received them, `{"bytes":N,"ms":N}`; `{"mode":"look","port":N}` -> `{"address":A,"reachable":BOOL}`.

import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { asError, InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { formatEndpoint } from '../../runtime/endpoint.ts';
import type { Endpoint } from '../../runtime/runtime.ts';

const lineBytesMax = 1024;
const connectTimeoutMs = 3000;
const silenceTimeoutMs = 30_000;
const millisecondsPerSecond = 1000;

export interface Amount {
  packetBytes: number;
  packets: number;
}

export interface Measured {
  bytes: number;
  ms: number;
  bytesPerSecond: number;
}

/** What another machine sees of this one. */
export interface Looked {
  /** Where the connection came from. */
  address: string;
  /** Whether it could connect to the port that was named. */
  reachable: boolean;
}

/** Serves one caller after another until closed. Throws `exists` when the port is taken. */
export async function serveThroughput(
  at: Endpoint,
  served: (what: string) => void,
): Promise<{ endpoint: Endpoint; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.setTimeout(silenceTimeoutMs, () => socket.destroy());
    answer(socket).then(
      (what) =>
        served(
          `${formatEndpoint({ host: socket.remoteAddress ?? 'somebody', port: socket.remotePort ?? 0 })}: ${what}`,
        ),
      () => socket.destroy(),
    );
  });
  server.maxConnections = limits.throughputCallersMax;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const kind = cause.code === 'EADDRINUSE' ? 'exists' : 'unavailable';
      reject(new InfinitError(kind, `cannot listen on ${formatEndpoint(at)}: ${cause.message}`, { cause }));
    });
    server.listen(at.port, at.host, resolve);
  });
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { endpoint: { host: at.host, port: (server.address() as { port: number }).port }, close };
}

async function answer(socket: Socket): Promise<string> {
  const reader = new Reader(socket);
  const request = JSON.parse(await reader.line()) as Record<string, unknown>;
  const say = (value: unknown) =>
    new Promise<void>((resolve) => socket.end(`${JSON.stringify(value)}\n`, () => resolve()));
  if (request.mode === 'look') {
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    // Only where the caller is himself: nobody is made to knock at others' doors.
    const reachable = await connects({ host: address, port: portOf(request.port) });
    await say({ address, reachable });
    return 'looked';
  }
  const amount = checkAmount({ packetBytes: Number(request.packet_size), packets: Number(request.packets_count) });
  if (request.mode === 'upload') {
    const ms = await reader.skip(amount.packetBytes * amount.packets);
    await say({ bytes: amount.packetBytes * amount.packets, ms });
    return 'upload measured';
  }
  if (request.mode !== 'download') throw new InfinitError('usage', 'unknown mode');
  await send(socket, amount);
  await reader.line();
  socket.end();
  return 'download measured';
}

/** Throws `unavailable` when nobody serves there. */
export async function measure(to: Endpoint, mode: 'upload' | 'download', amount: Amount): Promise<Measured> {
  const { packetBytes, packets } = checkAmount(amount);
  const bytes = packetBytes * packets;
  return ask(to, { mode, packet_size: packetBytes, packets_count: packets }, async (socket, reader) => {
    let ms: number;
    if (mode === 'upload') {
      await send(socket, amount);
      ms = Number((JSON.parse(await reader.line()) as { ms: unknown }).ms);
    } else {
      ms = await reader.skip(bytes);
      socket.write(`${JSON.stringify({ bytes, ms })}\n`);
    }
    return { bytes, ms, bytesPerSecond: Math.round((bytes / Math.max(ms, 1)) * millisecondsPerSecond) };
  });
}

/** How another machine that serves sees this one, and whether it can connect to the port here. */
export function look(from: Endpoint, port: number): Promise<Looked> {
  return ask(from, { mode: 'look', port }, async (_, reader) => {
    const { address, reachable } = JSON.parse(await reader.line()) as Looked;
    return { address: String(address), reachable: reachable === true };
  });
}

/** Whether somebody takes a TCP connection there within three seconds. */
export async function connects(to: Endpoint): Promise<boolean> {
  try {
    (await connect(to)).destroy();
    return true;
  } catch {
    return false;
  }
}

async function ask<T>(
  to: Endpoint,
  request: unknown,
  task: (socket: Socket, reader: Reader) => Promise<T>,
): Promise<T> {
  const socket = await connect(to);
  try {
    socket.setTimeout(silenceTimeoutMs, () => socket.destroy());
    const reader = new Reader(socket);
    socket.write(`${JSON.stringify(request)}\n`);
    return await task(socket, reader);
  } catch (error) {
    const { message } = asError(error);
    throw new InfinitError('unavailable', `measuring with ${formatEndpoint(to)} failed: ${message}`, { cause: error });
  } finally {
    socket.destroy();
  }
}

function connect({ host, port }: Endpoint): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host, port });
    const fail = (reason: string) => {
      socket.destroy();
      reject(new InfinitError('unavailable', `${formatEndpoint({ host, port })}: ${reason}`));
    };
    const timer = setTimeout(() => fail('no answer'), connectTimeoutMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      socket.on('error', () => socket.destroy());
      resolve(socket);
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      fail(error.message);
    });
  });
}

async function send(socket: Socket, { packetBytes, packets }: Amount): Promise<void> {
  const packet = Buffer.alloc(packetBytes, 0x5a);
  for (let at = 0; at < packets; at++) {
    if (socket.destroyed) throw new InfinitError('unavailable', 'the connection closed');
    if (!socket.write(packet)) await drained(socket);
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

function checkAmount(amount: Amount): Amount {
  const { packetBytes, packets } = amount;
  const isCount = (value: number) => Number.isSafeInteger(value) && value > 0;
  if (!isCount(packetBytes) || !isCount(packets) || packetBytes > limits.throughputPacketBytesMax)
    throw new InfinitError('usage', 'packets have 1 byte to 16 MiB');
  if (packetBytes * packets > limits.throughputBytesMax) throw new InfinitError('usage', 'at most 16 GiB are measured');
  return amount;
}

function portOf(given: unknown): number {
  const port = Number(given);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new InfinitError('usage', 'no port');
  return port;
}

/** Reads lines and amounts from one socket. */
class Reader {
  private pieces: Buffer[] = [];
  private length = 0;
  private isOver = false;
  private hear: () => void = () => {};
  private readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (piece) => {
      this.pieces.push(piece);
      this.length += piece.length;
      socket.pause();
      this.hear();
    });
    socket.on('close', () => {
      this.isOver = true;
      this.hear();
    });
  }

  async line(): Promise<string> {
    for (;;) {
      const text = Buffer.concat(this.pieces);
      const end = text.indexOf(0x0a);
      if (end >= 0) {
        this.pieces = [text.subarray(end + 1)];
        this.length = text.length - end - 1;
        return text.toString('utf8', 0, end);
      }
      if (this.length > lineBytesMax) throw new InfinitError('corrupt', 'a line is too long');
      await this.more();
    }
  }

  /** Reads so many bytes; how long that took, from the first to the last. */
  async skip(bytes: number): Promise<number> {
    let left = bytes;
    let began: number | undefined;
    for (;;) {
      if (this.length > 0) began ??= performance.now();
      if (this.length >= left) {
        const rest = Buffer.concat(this.pieces).subarray(left);
        this.pieces = [rest];
        this.length = rest.length;
        return performance.now() - (began ?? performance.now());
      }
      left -= this.length;
      this.pieces = [];
      this.length = 0;
      await this.more();
    }
  }

  private async more(): Promise<void> {
    if (this.isOver) throw new InfinitError('unavailable', 'the connection closed');
    const heard = new Promise<void>((resolve) => {
      this.hear = resolve;
    });
    this.socket.resume();
    await heard;
  }
}
