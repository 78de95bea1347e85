// Sockets of a home that are asked by lines of text, one answer a line. Their only guard is the file system: connecting to a Unix
// socket needs the right to write it, which its mode gives to this user and to root alone (docs/decisions/018).

import { chmod, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { InfinitError, isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkSocketOwner, makeSocketFolder } from '../runtime/system/socket-files.ts';

const privateMask = 0o077;

/** Answers a line; never rejects. `closed` fires when who asked has gone. */
export type AnswerLine = (line: string, closed: AbortSignal) => Promise<string>;

/** Serves the socket; resolves to what closes it. A socket nobody listens on is replaced. Throws `exists` when one is in use. */
export async function serveLines(path: string, answer: AnswerLine): Promise<() => Promise<void>> {
  await makeSocketFolder(path);
  if (!(await isServed(path))) await rm(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const closed = new AbortController();
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      closed.abort();
    });
    socket.on('error', () => socket.destroy());
    readLines(socket, (line) => {
      void answer(line, closed.signal).then((text) => socket.writable && socket.write(`${text}\n`));
    });
  });
  server.maxConnections = limits.lineConnectionsMax;
  await listenPrivately(server, path);
  await chmod(path, 0o600);
  return async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
}

/** The socket is made within the call: nobody else can open it for a moment either. */
async function listenPrivately(server: Server, path: string): Promise<void> {
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const message = cause.code === 'EADDRINUSE' ? `socket ${path} is in use` : `socket ${path}: ${cause.message}`;
      reject(new InfinitError(cause.code === 'EADDRINUSE' ? 'exists' : 'unavailable', message, { cause }));
    });
    server.once('listening', resolve);
  });
  const mask = process.umask(privateMask);
  try {
    server.listen(path);
  } finally {
    process.umask(mask);
  }
  await listening;
}

/** A connection to such a socket, which asks one line at a time. */
export class LineClient {
  private readonly socket: Socket;
  private readonly whom: string;
  private hear: (line: string) => void = () => {};
  private lost: (error: InfinitError) => void = () => {};

  private constructor(socket: Socket, whom: string) {
    this.socket = socket;
    this.whom = whom;
    readLines(socket, (line) => this.hear(line));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.lost(new InfinitError('unavailable', `${whom} closed its socket`)));
  }

  /**
   * `whom` is who listens, for messages. Throws `not-found` when nobody does, `denied` when another user's process does.
   */
  static async open(path: string, whom: string): Promise<LineClient> {
    await checkSocketOwner(path);
    return new LineClient(await connect(path), whom);
  }

  /** Throws `unavailable` when no answer comes in time. */
  async ask(line: string, timeoutMs: number): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<string>((resolve, reject) => {
        this.hear = resolve;
        this.lost = reject;
        if (this.socket.destroyed) reject(new InfinitError('unavailable', `${this.whom} closed its socket`));
        timer = setTimeout(() => reject(new InfinitError('unavailable', `${this.whom} does not answer`)), timeoutMs);
        this.socket.write(`${line}\n`);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const absent = cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED';
      reject(new InfinitError(absent ? 'not-found' : 'unavailable', `nothing listens on ${path}`, { cause }));
    });
  });
}

async function isServed(path: string): Promise<boolean> {
  try {
    (await connect(path)).destroy();
    return true;
  } catch (error) {
    return !isError(error, 'not-found');
  }
}

function readLines(socket: Socket, receive: (line: string) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    rest += text;
    if (rest.length > limits.lineBytesMax) socket.destroy();
    const lines = rest.split('\n');
    rest = lines.pop() as string;
    for (const line of lines) receive(line);
  });
}
