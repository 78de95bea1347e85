// Takes a file, or a directory with all below it, into the tree of another access list: by copying, because what the others may not
// read needs keys of its own there anyway. From the leaves up, so that each name leads to one file at every moment: to that here
// until it leads away, to the copy from then on. What changes while it is copied is copied again.

import { asBuffer, type Bytes, toHex, utf8 } from '../../base/bytes.ts';
import { decode, encode } from '../../base/codec.ts';
import { asError, InfinitError, isError } from '../../base/errors.ts';
import { checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { type LockGuard, lockEnd, type Tree } from '../../tree/tree.ts';
import type { DomainFiles } from './domain-files.ts';
import type { Domain } from './domain-table.ts';
import { borderOf } from './entries.ts';
import {
  type Attributes,
  type EntryPlace,
  type Files,
  fileError,
  type ListedEntry,
  reasonOf,
  rootInode,
} from './files.ts';
import { type Chore, choresReply, clientBytes, domainNumberReply, domainRecord, fileQuery } from './messages.ts';
import { rootName } from './roots.ts';
import { FileTimes } from './times.ts';

const pieceBytes = 1 << 20;
const tokenBytes = 8;
const triesMax = 20;
const pauseMs = 200;

export interface Move {
  from: Domain;
  /** What goes, in `from`. */
  inode: number;
  to: Domain;
  /** As `from` numbers it. */
  number: number;
  /** Of `lockMoves`: whoever lost it moves nothing more. */
  guard: LockGuard;
}

/** Its name among the roots says that nothing leads to it yet. */
interface Copy {
  inode: number;
  name: Buffer;
}

type Steps<T = void> = AsyncGenerator<void, T, void>;

export class Mover {
  /** Since the start. */
  readonly counters = { files: 0, directories: 0, bytes: 0 };
  private readonly files: DomainFiles;
  private readonly runtime: Pick<Runtime, 'random' | 'clock'>;
  private readonly times: FileTimes;

  constructor(files: DomainFiles, runtime: Pick<Runtime, 'random' | 'clock'>) {
    this.files = files;
    this.runtime = runtime;
    this.times = new FileTimes(runtime.clock);
  }

  /**
   * Whether it has gone from the place; it is not there otherwise. Yields after each bounded piece. `busy` when it changes again and
   * again: to be tried later. One at a time of a tree, after `clean`.
   */
  async *move(move: Move, place: EntryPlace, signal: AbortSignal): Steps<boolean> {
    for (let tries = 1; ; tries++) {
      checkSignal(signal);
      try {
        return yield* this.movedOnce(await this.own(move), place, signal);
      } catch (error) {
        if (isError(error, 'not-found')) return false;
        if (reasonOf(asError(error)) !== 'busy' || tries === triesMax) throw error;
      }
      await this.runtime.clock.sleep(pauseMs, { signal });
    }
  }

  /** What is to have a list of its own goes there, whatever it is in. */
  private async own(move: Move): Promise<Move> {
    const { from, inode } = move;
    const other = (await choresOf(this.files, from)).find(
      (one) => one.chore === 'moving' && one.inode === inode && one.domain !== move.number,
    );
    if (other === undefined) return move;
    const own = { ...move, to: await this.files.table.domainOf(from, other.domain), number: other.domain };
    await this.clean(own);
    return own;
  }

  private async *movedOnce(move: Move, place: EntryPlace, signal: AbortSignal): Steps<boolean> {
    const here = await this.filesOf(move.from);
    const found = await absent(here.lookup(place.directory, place.name));
    if (found?.inode !== move.inode) return false;
    const { type } = found;
    if (type === 'directory')
      for (const { name, inode } of await entriesOf(here, move.inode))
        if (borderOf(inode) === undefined)
          yield* this.move({ ...move, inode }, { directory: move.inode, name }, signal);
    // What was written here goes with it.
    if (type === 'file') await placeAt(here, move.inode, 0, 'hole');
    const { tree } = await this.files.table.opened(move.to);
    const { losses } = tree;
    const before = await here.attributes(move.inode);
    const copy = await this.make(move, before);
    try {
      if (type === 'file') yield* this.copyData(move, copy.inode, before.size, signal);
      if (type === 'directory') yield* this.gather(move, copy.inode, signal);
      await this.dress(move, before, copy.inode);
      await tree.sync();
      if (tree.losses !== losses) throw fileError('busy', 'what was copied may be lost');
      await this.leadAway(move, place, { before, copy });
    } catch (error) {
      if (isError(error, 'not-found') || reasonOf(asError(error)) === 'busy') await this.discard(move, copy);
      throw error;
    }
    await this.settle(move, copy);
    if (type === 'directory') this.counters.directories++;
    else this.counters.files++;
    yield;
    return true;
  }

  /** The name leads there: it is a root as others are. */
  private async settle(move: Move, copy: Copy): Promise<void> {
    await this.renamed(move.to, hidden(copy.name), hidden(rootName(copy.inode)));
    await this.endLed(move);
  }

  private async endLed({ from, inode, number: domain }: Move): Promise<void> {
    const now = this.times.now();
    await this.files.operate(from, { type: 'note', domain, chore: 'led', inode, done: true, alone: false, now });
  }

  /** Durable when it resolves. */
  private async renamed(domain: Domain, from: EntryPlace, to: EntryPlace): Promise<void> {
    const client = this.runtime.random.bytes(clientBytes);
    const closing = { now: this.times.now(), free: false, client, held: undefined };
    await this.files.operate(domain, { type: 'rename', from, to, mode: 'no-replace', ...closing });
  }

  private async make({ from, inode, to }: Move, { type, uid, gid, device }: Attributes): Promise<Copy> {
    const target = type === 'symlink' ? await (await this.filesOf(from)).readLink(inode) : undefined;
    const node = { type, mode: 0o600, uid, gid, device, ...(target && { target }) };
    const name = tentative(from, inode, this.runtime.random.bytes(tokenBytes));
    return { inode: (await (await this.filesOf(to)).make(rootInode, name, node)).inode, name };
  }

  private async *copyData({ from, inode, to }: Move, copy: number, size: number, signal: AbortSignal): Steps {
    const [here, there] = [await this.filesOf(from), await this.filesOf(to)];
    for (let at = 0; at < size; ) {
      checkSignal(signal);
      const data = (await placeAt(here, inode, at, 'data')) ?? size;
      if (data >= size) break;
      const hole = (await placeAt(here, inode, data, 'hole')) ?? size;
      const length = Math.min(pieceBytes, hole - data);
      const pieces = await here.read(inode, data, length);
      await there.write(copy, data, Buffer.concat(pieces));
      this.counters.bytes += length;
      at = data + length;
      yield;
    }
    await there.change(copy, { size });
  }

  /** What the directory's names lead to there goes into its like; what is still here makes it `busy`. */
  private async *gather({ from, inode, to, number }: Move, copy: number, signal: AbortSignal): Steps {
    const [here, there] = [await this.filesOf(from), await this.filesOf(to)];
    for (const { name, type, inode: target } of await entriesOf(here, inode)) {
      checkSignal(signal);
      const border = borderOf(target);
      if (border === undefined) throw fileError('busy', 'the directory changed meanwhile');
      if (border.domain === number)
        await there.rename(hidden(rootName(border.inode)), { directory: copy, name }, 'no-replace');
      else await this.copyBorder(from, border, to, { directory: copy, name, type });
      yield;
    }
  }

  /** A directory with a list of its own keeps it. */
  private async copyBorder(
    from: Domain,
    border: { domain: number; inode: number },
    to: Domain,
    { type: of, ...place }: EntryPlace & { type: Attributes['type'] },
  ): Promise<void> {
    const { tree } = await this.files.table.opened(from);
    const asked = encode(fileQuery, { type: 'domain', domain: border.domain });
    const record = decode(domainRecord, await tree.query(asked));
    const domain = decode(domainNumberReply, await this.files.operate(to, { type: 'addDomain', record }));
    const { inode } = border;
    await this.files.operate(to, { type: 'addBorder', ...place, of, domain, inode, now: this.times.now() });
  }

  /** Attributes and extended ones; all that was written to it is in the tree when it resolves. */
  private async dress({ from, inode, to }: Move, before: Attributes, copy: number): Promise<void> {
    const [here, there] = [await this.filesOf(from), await this.filesOf(to)];
    for (const name of await here.listExtended(inode))
      await there.setExtended(copy, name, await here.getExtended(inode, name));
    const { mode, uid, gid, accessed, modified } = before;
    await there.change(copy, { ...(before.type !== 'symlink' && { mode }), uid, gid, accessed, modified });
    await there.flush(copy);
  }

  private async leadAway(
    { from, inode, number: domain, guard }: Move,
    { directory, name }: EntryPlace,
    { before: { changed }, copy }: { before: Attributes; copy: Copy },
  ): Promise<void> {
    const client = this.runtime.random.bytes(clientBytes);
    const place = { directory, name, inode, changed, domain, target: copy.inode, now: this.times.now() };
    // Gone at once, whoever has it open: what he writes there fails instead of being seen by nobody.
    const operation = { type: 'leadAway', ...place, client, free: true, held: false } as const;
    // Nobody else has taken the copy for a leftover, then.
    await this.files.operate(from, operation, { guard });
  }

  /** What a move to the tree that did not end left behind. */
  async clean(move: Move): Promise<void> {
    const { from, to, number, guard } = move;
    const begins = tentativeOf(from);
    const left: (Copy & { original: number })[] = [];
    for await (const { name, inode } of listed(await this.filesOf(to), rootInode)) {
      const text = asBuffer(name).toString('utf8');
      if (!text.startsWith(begins)) continue;
      const original = Number.parseInt(text.slice(begins.length), 10);
      left.push({ inode, name: asBuffer(name), original });
      await this.touch(from, original);
    }
    const led = new Set<number>();
    for (const { chore, domain, inode } of await choresOf(this.files, from))
      if (chore === 'led' && domain === number) led.add(inode);
    // All that was found is of before: nobody else moves meanwhile.
    await this.files.operate(from, { type: 'nothing' }, { guard });
    for (const { original, ...copy } of left)
      await (led.has(original) ? this.settle({ ...move, inode: original }, copy) : this.discard(move, copy));
    for (const { original } of left) led.delete(original);
    for (const inode of led) await this.endLed({ ...move, inode });
  }

  /** What was asked before and may happen still does not lead it away after that: it is of another moment. */
  private async touch(from: Domain, inode: number): Promise<void> {
    const none = { mode: undefined, uid: undefined, gid: undefined, size: undefined };
    const times = { accessed: undefined, modified: undefined, now: this.times.now() };
    try {
      await this.files.operate(from, { type: 'change', inode, ...none, ...times });
    } catch (error) {
      if (!isError(error, 'not-found')) throw error;
    }
  }

  /** Of a directory, what names here lead to stays. */
  private async discard({ to }: Move, { inode: directory, name: copy }: Copy): Promise<void> {
    const there = await this.filesOf(to);
    // With a leadership that ended, a copy may be lost.
    const found = await absent(there.attributes(directory));
    if (found === undefined) return;
    if (found.type !== 'directory') return there.unlink(rootInode, copy);
    for (const { name, inode } of await entriesOf(there, directory)) {
      const border = borderOf(inode);
      const at = { directory, name };
      if (border === undefined) await this.renamed(to, at, hidden(rootName(inode)));
      else await this.files.operate(to, { type: 'dropBorder', ...at, ...border, left: false, now: this.times.now() });
    }
    await there.removeDirectory(rootInode, copy);
  }

  private async filesOf(domain: Domain): Promise<Files> {
    return (await this.files.table.opened(domain)).files;
  }
}

/** Each copy has a name of its own: what was asked of an earlier one does not happen to it. */
function tentative(from: Domain, inode: number, token: Bytes): Buffer {
  return utf8(`${tentativeOf(from)}${inode}.${toHex(token)}`);
}

/** How names of copies from a tree begin: several trees may have names that lead to one. */
function tentativeOf({ place }: Domain): string {
  return `.${toHex(place.treeId)}.`;
}

function hidden(name: Bytes): EntryPlace {
  return { directory: rootInode, name };
}

/** All entries, a page at a time. */
export async function* listed(files: Files, directory: number): AsyncGenerator<ListedEntry, void, void> {
  for (let after = 2n; ; ) {
    const { entries, end } = await files.list(directory, after);
    yield* entries;
    const last = entries.at(-1);
    if (end || last === undefined) return;
    after = last.cookie;
  }
}

/** All of them. Throws `full` for more than are moved at once. */
export async function entriesOf(files: Files, directory: number): Promise<ListedEntry[]> {
  const all: ListedEntry[] = [];
  for await (const entry of listed(files, directory)) {
    if (all.length === limits.movedEntriesMax)
      throw new InfinitError('full', `a directory of more than ${limits.movedEntriesMax} names is not moved`);
    all.push(entry);
  }
  return all;
}

/** Where data or a hole begins; undefined when there is none behind. What was written here is in the tree then. */
async function placeAt(files: Files, inode: number, at: number, what: 'data' | 'hole'): Promise<number | undefined> {
  try {
    return await files.seek(inode, at, what);
  } catch (error) {
    if (reasonOf(asError(error)) !== 'no-such-place') throw error;
    return undefined;
  }
}

/** All that is noted in a tree. */
export async function choresOf({ table }: DomainFiles, domain: Domain): Promise<Chore[]> {
  const { tree } = await table.opened(domain);
  const all: Chore[] = [];
  for (let after: Chore | undefined; ; after = all.at(-1)) {
    const found = decode(choresReply, await tree.query(encode(fileQuery, { type: 'chores', after })));
    all.push(...found);
    if (found.length < limits.choresPerAnswerMax) return all;
  }
}

const moverLock = { space: 'whole', resource: 0, owner: 0n } as const;
const everything = { from: 0n, to: lockEnd, mode: 'exclusive', pid: 0 } as const;

/**
 * Who moves out of a tree is alone with that: undefined while another process is. No inode has the number that is locked. To be
 * unlocked by `unlockMoves`.
 */
export async function lockMoves({ locks }: Tree): Promise<LockGuard | undefined> {
  try {
    await locks.lock(moverLock, everything, { wait: false });
  } catch (error) {
    if (isError(error, 'conflict')) return undefined;
    throw error;
  }
  return locks.guardOf(moverLock.resource);
}

/** Never throws: it ends by itself otherwise. */
export async function unlockMoves({ locks }: Tree): Promise<void> {
  await locks.unlock(moverLock, everything).catch(() => {});
}

/** Undefined for what does not exist. */
export async function absent(asked: Promise<Attributes>): Promise<Attributes | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
    return undefined;
  }
}
