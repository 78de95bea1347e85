// Descriptors leaving and entering by files and pipes: `--output FILE`, `--input FILE`, `-` for the standard streams.

import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { InfinitError } from '../base/errors.ts';
import type { Invocation } from './invocation.ts';
import { printableJson } from './printable.ts';

/** Writes one JSON line; true when it went to a file, so that the command may say so. */
export async function writeDocument(
  invocation: Invocation,
  output: string | undefined,
  value: unknown,
  options: { secret?: boolean } = {},
): Promise<boolean> {
  return writeBytes(invocation, output, `${printableJson(value)}\n`, options);
}

/** The same for any bytes. */
export async function writeBytes(
  invocation: Invocation,
  output: string | undefined,
  content: Uint8Array | string,
  options: { secret?: boolean } = {},
): Promise<boolean> {
  if (output === undefined || output === '-') {
    invocation.stdout.write(content);
    return false;
  }
  const path = resolve(invocation.workingDirectory, output);
  try {
    await mkdir(dirname(path), { recursive: true });
    if (options.secret) await writeSecret(path, content);
    else await writeFile(path, content);
  } catch (error) {
    throw fileError('write', output, error);
  }
  return true;
}

/** A file that was there keeps its mode when it is written: it is closed to others before. */
async function writeSecret(path: string, content: Uint8Array | string): Promise<void> {
  const handle = await open(path, 'w', 0o600);
  try {
    if ((await handle.stat()).isFile()) await handle.chmod(0o600);
    await handle.writeFile(content);
  } finally {
    await handle.close();
  }
}

/** The whole of a file or of standard input, at most `limit` bytes. */
export async function readDocument(invocation: Invocation, input: string | undefined, limit: number): Promise<Buffer> {
  if (input === undefined || input === '-') return readWhole(invocation.stdin, limit);
  let content: Buffer;
  try {
    content = await readFile(resolve(invocation.workingDirectory, input));
  } catch (error) {
    throw fileError('read', input, error);
  }
  if (content.length > limit) throw tooLong(limit);
  return content;
}

/** A file as a stream; what cannot be read is told when it is read from. */
export function readStream(invocation: Invocation, input: string): Readable {
  const stream = createReadStream(resolve(invocation.workingDirectory, input));
  return Readable.from(
    (async function* () {
      try {
        yield* stream;
      } catch (error) {
        throw fileError('read', input, error);
      }
    })(),
    { objectMode: false },
  );
}

/** Requests, one JSON value a line; a line that is none is `usage`. */
export async function* readRequests(stream: Readable, lineBytesMax: number): AsyncIterable<unknown> {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const piece of stream) {
    const lines = (rest + String(piece)).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > lineBytesMax) throw tooLong(lineBytesMax);
    for (const line of lines) if (line.trim() !== '') yield parseRequest(line);
  }
  if (rest.trim() !== '') yield parseRequest(rest);
}

function parseRequest(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new InfinitError('usage', 'a request is not JSON', { cause: error });
  }
}

async function readWhole(stream: Readable, limit: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of stream) {
    const buffer = Buffer.from(piece);
    bytes += buffer.length;
    if (bytes > limit) throw tooLong(limit);
    pieces.push(buffer);
  }
  return Buffer.concat(pieces);
}

function tooLong(limit: number): InfinitError {
  return new InfinitError('full', `the input is longer than ${limit} bytes`);
}

function fileError(verb: string, path: string, error: unknown): InfinitError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const kinds = { ENOENT: 'not-found', EACCES: 'denied', EPERM: 'denied', EISDIR: 'usage', ENOSPC: 'full' } as const;
  const kind = Object.hasOwn(kinds, code) ? kinds[code as keyof typeof kinds] : 'unavailable';
  const reasons = {
    'not-found': 'no such file',
    denied: 'permission denied',
    usage: 'is a directory',
    full: 'no space left',
  };
  const reason = kind === 'unavailable' ? code || String(error) : reasons[kind];
  return new InfinitError(kind, `unable to ${verb} ${JSON.stringify(path)}: ${reason}`, { cause: error });
}
