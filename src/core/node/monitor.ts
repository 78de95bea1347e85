// The monitoring socket of a running process: one JSON object a line asks, one line answers. Only this home's user can open it.
// `{"query":"status", ...}` -> `{"success":true,"result":{...}}` or `{"success":false,"error":{"kind","message"}}`.

import { chmod, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { checkSocketOwner, makeSocketFolder } from '../runtime/system/socket-files.ts';

const lineBytesMax = 1024 * 1024;
const answerTimeoutMs = 10_000;

/** Each answers a request, of which it reads what it needs. */
export type Queries = Record<string, (request: Readonly<Record<string, unknown>>) => Promise<unknown> | unknown>;

/** Serves the queries on the socket; resolves to what closes it. A socket nobody listens on is replaced. */
export async function serveMonitor(path: string, queries: Queries): Promise<() => Promise<void>> {
  await makeSocketFolder(path);
  if (!(await answers(path))) await rm(path, { force: true });
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    readLines(socket, (line) => {
      void reply(line, queries).then((text) => socket.writable && socket.write(`${text}\n`));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const message = cause.code === 'EADDRINUSE' ? `socket ${path} is in use` : `socket ${path}: ${cause.message}`;
      reject(new InfinitError(cause.code === 'EADDRINUSE' ? 'exists' : 'unavailable', message, { cause }));
    });
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
  return async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
}

/** Asks a running process. Throws `not-found` when none listens, what it answers with, `unavailable` when it does not. */
export async function askMonitor(
  path: string,
  query: string,
  options: { fields?: Readonly<Record<string, unknown>>; timeoutMs?: number } = {},
): Promise<unknown> {
  await checkSocketOwner(path);
  const socket = await open(path);
  try {
    const line = await new Promise<string>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new InfinitError('unavailable', 'the running process does not answer')),
        options.timeoutMs ?? answerTimeoutMs,
      );
      socket.on('close', () => {
        clearTimeout(timer);
        reject(new InfinitError('unavailable', 'the running process closed the monitoring socket'));
      });
      readLines(socket, (text) => {
        clearTimeout(timer);
        resolve(text);
      });
      socket.write(`${JSON.stringify({ ...options.fields, query })}\n`);
    });
    const answer = JSON.parse(line) as {
      success: boolean;
      result?: unknown;
      error?: { kind: 'unsupported'; message: string };
    };
    if (!answer.success) throw new InfinitError(answer.error?.kind ?? 'internal', answer.error?.message ?? 'no answer');
    return answer.result;
  } finally {
    socket.destroy();
  }
}

function open(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const absent = cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED';
      reject(new InfinitError(absent ? 'not-found' : 'unavailable', `nothing listens on ${path}`, { cause }));
    });
  });
}

async function answers(path: string): Promise<boolean> {
  try {
    (await open(path)).destroy();
    return true;
  } catch (error) {
    return !isError(error, 'not-found');
  }
}

async function reply(line: string, queries: Queries): Promise<string> {
  try {
    const request = JSON.parse(line) as unknown;
    if (typeof request !== 'object' || request === null) throw new InfinitError('usage', 'a query is an object');
    const { query } = request as { query?: unknown };
    const answer = typeof query === 'string' && Object.hasOwn(queries, query) ? queries[query] : undefined;
    if (answer === undefined)
      throw new InfinitError('unsupported', `unknown query; known: ${Object.keys(queries).join(', ')}`);
    return JSON.stringify({ success: true, result: await answer(request as Record<string, unknown>) });
  } catch (cause) {
    const error = cause instanceof SyntaxError ? new InfinitError('usage', 'not JSON') : asError(cause);
    return JSON.stringify({ success: false, error: { kind: error.kind, message: error.message } });
  }
}

function readLines(socket: Socket, receive: (line: string) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    rest += text;
    if (rest.length > lineBytesMax) socket.destroy();
    const lines = rest.split('\n');
    rest = lines.pop() as string;
    for (const line of lines) receive(line);
  });
}
