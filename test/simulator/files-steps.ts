// What a step of the differential test of files is: an operation of one client by paths and slots, without inode numbers, so that
// the same steps run over a model, over trees and over mounted directories. Steps are JSON; any part of a run is a run.

import type { AllocateMode, RenameMode } from '../../src/core/volume/files/files.ts';

/** Names from the root, a byte a character; none is the root. */
export type Path = readonly string[];
/** A path, or the slot of something the client holds open. */
export type Place = Path | number;

export const slotsAClient = 4;
/** A prime: what is moved by whole cells or pages differs. */
const patternBytes = 1021;

export type StepBody =
  | { op: 'file' | 'directory'; path: Path; mode: number }
  /** Targets are never there. */
  | { op: 'symlink'; path: Path; target: string }
  | { op: 'fifo'; path: Path; mode: number }
  | { op: 'link'; from: Path; to: Path }
  | { op: 'rename'; from: Path; to: Path; mode?: RenameMode }
  | { op: 'unlink' | 'rmdir' | 'readlink' | 'list'; path: Path }
  | { op: 'stat'; at: Place }
  | { op: 'flush'; at: Place }
  | { op: 'write'; at: Place; offset: number; length: number; fill: number }
  | { op: 'read'; at: Place; offset: number; length: number }
  | { op: 'truncate'; at: Place; size: number }
  | { op: 'chmod'; path: Path; mode: number }
  | { op: 'chown'; path: Path; uid: number; gid: number }
  | { op: 'utimes'; path: Path; seconds: number }
  | { op: 'allocate'; at: Place; offset: number; length: number; mode: AllocateMode }
  | { op: 'seek'; at: Place; offset: number; what: 'data' | 'hole' }
  | { op: 'setExtended'; path: Path; name: string; length: number; fill: number; only?: 'create' | 'replace' }
  | { op: 'getExtended'; path: Path; name: string }
  | { op: 'removeExtended'; path: Path; name: string }
  | { op: 'listExtended'; path: Path }
  | { op: 'open'; path: Path; slot: number }
  /** Without a name, in the directory. */
  | { op: 'unnamed'; path: Path; slot: number; mode: number }
  | { op: 'linkSlot'; slot: number; to: Path }
  | { op: 'close'; slot: number }
  | { op: 'sync' };
export type Step = StepBody & { client: number };
export type Operation = StepBody['op'];

/** Those that node:fs can do in a mounted directory. */
export const mountOperations: readonly Operation[] = [
  ...(['file', 'directory', 'symlink', 'link', 'rename', 'unlink', 'rmdir', 'readlink', 'list', 'stat'] as const),
  ...(['flush', 'write', 'read', 'truncate', 'chmod', 'chown', 'utimes', 'open', 'close', 'sync'] as const),
];

export type Outcome = { value: unknown } | { error: string; message: string };

/** What `stat` answers; the inode number is for telling files apart, and is not compared. Times are left out. */
export interface Stated {
  type: string;
  mode: number;
  uid: number;
  gid: number;
  links: number;
  /** Of a directory: 0. */
  size: number;
  inode: number;
}

/** Carries steps out, on behalf of several clients. */
export interface Executor {
  /** The step's answer, in a form that can be compared; throws what the operation threw. */
  perform(step: Step): Promise<unknown>;
  /** The name in errno.h of what was thrown. */
  errnoOf(cause: unknown): string;
  /** What the client wrote is seen by all. */
  flush(client: number): Promise<void>;
}

export async function outcomeOf(executor: Executor, step: Step): Promise<Outcome> {
  try {
    return { value: await executor.perform(step) };
  } catch (cause) {
    return { error: executor.errnoOf(cause), message: cause instanceof Error ? cause.message : String(cause) };
  }
}

/** Content that tells where it is from; no byte of it is zero. */
export function filled(length: number, fill: number): Buffer {
  const part = Buffer.alloc(patternBytes);
  for (let i = 0, state = fill; i < part.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    part[i] = (state >>> 24) | 1;
  }
  return Buffer.alloc(length, part);
}

export function describeStep(step: Step): string {
  const { client, op, ...rest } = step;
  const words = Object.entries(rest).map(([key, value]) => {
    const shown = Array.isArray(value) ? `/${value.map(shortName).join('/')}` : JSON.stringify(value);
    return `${key}=${shown}`;
  });
  return `client ${client}: ${op} ${words.join(' ')}`;
}

function shortName(name: string): string {
  const shown = JSON.stringify(name).slice(1, -1);
  return shown.length > 20 ? `${shown.slice(0, 8)}..(${name.length})` : shown;
}
