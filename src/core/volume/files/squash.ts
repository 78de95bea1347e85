// Which of several operations in order need not happen in the network, because later ones undo them: files that are made and
// deleted again, and data that is written over before anybody else could see it.

import { decode } from '../../base/codec.ts';
import type { LateEntry } from '../../tree/async/log.ts';
import { expectation } from './expectation.ts';
import { type FileOperation, fileOperation } from './messages.ts';
import { fileSpaces, inodeOf } from './records.ts';

type Write = FileOperation & { type: 'write' };

interface Step<E> {
  entry: E;
  operation: FileOperation;
}

export function squashed<E extends LateEntry>(entries: readonly E[]): E[] {
  const steps = entries.map((entry) => ({ entry, operation: decode(fileOperation, entry.operation) }));
  return overwritten(unmade(steps)).map(({ entry }) => entry);
}

/** Without files that were made and deleted with nothing but their own data and attributes in between. */
function unmade<E extends LateEntry>(steps: readonly Step<E>[]): Step<E>[] {
  const dropped = new Set<Step<E>>();
  const open = new Map<number, Step<E>[]>();
  for (const step of steps) {
    const { entry, operation } = step;
    if (operation.type === 'make' && operation.node.type !== 'directory' && operation.name !== undefined) {
      if (entry.made !== undefined) open.set(entry.made, [step]);
      continue;
    }
    const own = ownInode(operation);
    if (own !== undefined) {
      open.get(own)?.push(step);
      continue;
    }
    if (operation.type === 'unlink' && !operation.held) {
      const [seen] = decode(expectation, entry.expected);
      const story = seen && open.get(seen.inode);
      const [made] = story ?? [];
      if (story !== undefined && made !== undefined && isOf(made.operation, operation)) {
        for (const one of [...story, step]) dropped.add(one);
        open.delete(seen?.inode as number);
        continue;
      }
    }
    for (const inode of mentioned(entry, operation)) open.delete(inode);
  }
  return steps.filter((step) => !dropped.has(step));
}

/** Without writes all of whose bytes the next write of the file covers. What relied on less relies on what they relied on. */
function overwritten<E extends LateEntry>(steps: readonly Step<E>[]): Step<E>[] {
  const result: (Step<E> | undefined)[] = [...steps];
  const last = new Map<number, number>();
  for (const [at, step] of steps.entries()) {
    const { entry, operation } = step;
    if (operation.type !== 'write' || operation.files.length !== 1) {
      for (const inode of mentioned(entry, operation)) last.delete(inode);
      continue;
    }
    const inode = operation.files[0]?.inode as number;
    const before = last.get(inode);
    const earlier = before === undefined ? undefined : result[before];
    if (before !== undefined && earlier !== undefined && covers(operation, earlier.operation as Write)) {
      result[before] = undefined;
      result[at] = { entry: { ...entry, expected: earlier.entry.expected }, operation };
    }
    last.set(inode, at);
  }
  return result.filter((step) => step !== undefined);
}

/** The inode an operation on one file's data or attributes is about. */
function ownInode(operation: FileOperation): number | undefined {
  if (operation.type === 'write' && operation.files.length === 1) return operation.files[0]?.inode;
  const { type } = operation;
  if (type === 'change' || type === 'allocate' || type === 'append') return operation.inode;
  return type === 'setExtended' || type === 'removeExtended' ? operation.inode : undefined;
}

/** Inodes an operation changes in any way, its directories included. */
function mentioned({ effects, made }: LateEntry, operation: FileOperation): Set<number> {
  const inodes = new Set<number>(made === undefined ? [] : [made]);
  if (operation.type === 'write') for (const { inode } of operation.files) inodes.add(inode);
  for (const effect of effects) {
    const key = effect.type === 'deleteRange' ? effect.from : effect.key;
    if (key[0] !== undefined && key.length >= 7 && isFileKey(key[0])) inodes.add(inodeOf(key));
  }
  return inodes;
}

function isFileKey(space: number): boolean {
  return Object.values(fileSpaces).includes(space as never);
}

function isOf(made: FileOperation, unlink: FileOperation & { type: 'unlink' }): boolean {
  if (made.type !== 'make' || made.name === undefined) return false;
  return made.directory === unlink.directory && Buffer.from(made.name).equals(unlink.name);
}

function covers(later: Write, earlier: Write): boolean {
  const spans = spansOf(later);
  return spansOf(earlier).every(({ from, to }) => spans.some((span) => span.from <= from && to <= span.to));
}

/** Runs of bytes without gaps, in order. */
function spansOf(write: Write): { from: number; to: number }[] {
  const spans: { from: number; to: number }[] = [];
  for (const piece of write.files[0]?.pieces ?? []) {
    const from = piece.offset;
    const to = from + (piece.type === 'bytes' ? piece.bytes.length : piece.length);
    const last = spans.at(-1);
    if (last !== undefined && last.to === from) last.to = to;
    else spans.push({ from, to });
  }
  return spans;
}
