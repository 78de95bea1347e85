// Operations that wait in a client's own journal, for people: what each is about, by paths as far as they are known, and as JSON with
// the data it carries.

import { type Bytes, concatBytes, toBase64, toHex } from '../../base/bytes.ts';
import { decode } from '../../base/codec.ts';
import { isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { LateEntry } from '../../tree/async/log.ts';
import { decodeEntry } from './entries.ts';
import { expectation } from './expectation.ts';
import { type EntryPlace, rootInode } from './files.ts';
import { type FileOperation, fileOperation, type WrittenPiece } from './messages.ts';
import { fileSpaces, inodeOf } from './records.ts';

const depthMax = 256;

/** What an operation is about; JSON-safe. */
export interface LateFacts {
  type: FileOperation['type'];
  /** Beginning with `/`, or with `?` where it is not known; several for data of several files. */
  paths: string[];
  /** Of a rename. */
  to?: string;
  /** Of data. */
  bytes?: number;
}

/** Where inodes are, from directory entries met. */
export class LateNames {
  private readonly places = new Map<number, EntryPlace>();

  /** Of any record; those that are no entries say nothing. */
  learn(key: Bytes, value: Bytes): void {
    if (key[0] !== fileSpaces.entry) return;
    try {
      const { domain, inode, name } = decodeEntry(value);
      if (domain === 0) this.places.set(inode, { directory: inodeOf(key), name });
    } catch (error) {
      if (!isError(error, 'corrupt')) throw error;
    }
  }

  learnFrom({ effects, expected }: LateEntry): void {
    for (const effect of effects) if (effect.type === 'put') this.learn(effect.key, effect.value);
    for (const { inode, place } of decode(expectation, expected))
      if (place !== undefined && !this.places.has(inode)) this.places.set(inode, place);
  }

  pathOf(inode: number): string {
    const words: string[] = [];
    for (let at = inode, depth = 0; at !== rootInode; depth++) {
      const place = this.places.get(at);
      if (place === undefined || depth === depthMax) return [`?inode-${at}`, ...words].join('/');
      words.unshift(textOf(place.name));
      at = place.directory;
    }
    return `/${words.join('/')}`;
  }

  pathAt({ directory, name }: EntryPlace): string {
    const above = this.pathOf(directory);
    return `${above === '/' ? '' : above}/${textOf(name)}`;
  }
}

export function lateFacts({ operation }: LateEntry, names: LateNames): LateFacts {
  const asked = decode(fileOperation, operation);
  const { type } = asked;
  const paths = pathsOf(asked, names);
  if (asked.type === 'rename') return { type, paths, to: names.pathAt(asked.to) };
  if (asked.type === 'write')
    return { type, paths, bytes: sum(asked.files.map(({ pieces }) => sum(pieces.map(lengthOf)))) };
  if (asked.type === 'append') return { type, paths, bytes: sum(asked.pieces.map(lengthOf)) };
  return { type, paths };
}

/** Everything of it; bytes in base64, names as text. `cellsOf`: of a chunk, by its address in hex. */
export function lateJson(
  { operation }: LateEntry,
  names: LateNames,
  cellsOf: (address: string) => readonly Bytes[] | undefined,
): Record<string, unknown> {
  const asked = decode(fileOperation, operation);
  if (asked.type !== 'write' && asked.type !== 'append') {
    const { client: _, ...fields } = asked as FileOperation & { client?: Bytes };
    return plain(fields) as Record<string, unknown>;
  }
  const chunks = asked.chunks.map(({ address }) => cellsOf(toHex(address)) ?? []);
  const written = (inode: number, pieces: readonly WrittenPiece[]) => ({
    path: names.pathOf(inode),
    inode,
    pieces: pieces.map((piece) => ({ offset: piece.offset, content: toBase64(contentOf(piece, chunks)) })),
  });
  const files = asked.type === 'write' ? asked.files : [asked];
  return { type: asked.type, files: files.map(({ inode, pieces }) => written(inode, pieces)) };
}

function pathsOf(asked: FileOperation, names: LateNames): string[] {
  switch (asked.type) {
    case 'make':
      return asked.name === undefined ? [] : [names.pathAt({ directory: asked.directory, name: asked.name })];
    case 'link':
    case 'unlink':
    case 'removeDirectory':
      return [names.pathAt(asked)];
    case 'rename':
      return [names.pathAt(asked.from)];
    case 'write':
      return asked.files.map(({ inode }) => names.pathOf(inode));
    case 'append':
    case 'change':
    case 'allocate':
    case 'setExtended':
    case 'removeExtended':
      return [names.pathOf(asked.inode)];
    default:
      return [];
  }
}

function lengthOf(piece: WrittenPiece): number {
  return piece.type === 'bytes' ? piece.bytes.length : piece.length;
}

function contentOf(piece: WrittenPiece, chunks: readonly (readonly Bytes[])[]): Bytes {
  if (piece.type === 'bytes') return piece.bytes;
  const cells = chunks[piece.chunk]?.slice(piece.cell, piece.cell + 2 + Math.ceil(piece.length / limits.cellBytesMax));
  return concatBytes(cells ?? []).subarray(piece.skip, piece.skip + piece.length);
}

/** Byte strings of operations are names, but for values of attributes. */
function plain(value: unknown, field = ''): unknown {
  if (value instanceof Uint8Array) return field === 'value' ? toBase64(value) : textOf(value);
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.map((item) => plain(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner, name)]));
}

function textOf(name: Bytes): string {
  return Buffer.from(name).toString('utf8');
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
