// Takes a file, or a directory with all below it, into the tree of another access list: by copying, because what the others may not
// read needs keys of its own there anyway. From the leaves up, so that each name leads to one file at every moment: to that here
// until it leads away, to the copy from then on. What changes while it is copied is copied again.

import { asBuffer, type Bytes, utf8 } from '../../base/bytes.ts';
import { decode, encode } from '../../base/codec.ts';
import { asError, InfinitError, isError } from '../../base/errors.ts';
import { checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Runtime } from '../../runtime/runtime.ts';
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
import { clientBytes, domainNumberReply, domainRecord, fileQuery } from './messages.ts';
import { rootName } from './roots.ts';
import { FileTimes } from './times.ts';

const pieceBytes = 1 << 20;
const triesMax = 20;
const pauseMs = 200;
const dot = '.';

export interface Move {
  from: Domain;
  /** What goes, in `from`. */
  inode: number;
  to: Domain;
  /** As `from` numbers it. */
  number: number;
}

type Steps = AsyncGenerator<void, void, void>;

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

  /** Yields after each bounded piece. `busy` when it changes again and again: to be tried later. One at a time of a tree. */
  async *move(move: Move, place: EntryPlace, signal: AbortSignal): Steps {
    await this.clean(move);
    yield* this.moved(move, place, signal);
  }

  private async *moved(move: Move, place: EntryPlace, signal: AbortSignal): Steps {
    for (let tries = 1; ; tries++) {
      checkSignal(signal);
      try {
        return yield* this.movedOnce(move, place, signal);
      } catch (error) {
        if (reasonOf(asError(error)) !== 'busy' || tries === triesMax) throw error;
      }
      await this.drop(move, move.inode);
      await this.runtime.clock.sleep(pauseMs, { signal });
    }
  }

  private async *movedOnce(move: Move, place: EntryPlace, signal: AbortSignal): Steps {
    const here = await this.filesOf(move.from);
    const found = await here.lookup(place.directory, place.name);
    if (found.inode !== move.inode) return;
    if (found.type === 'file') await here.flush(found.inode);
    if (found.type === 'directory')
      for (const { name, inode } of await entriesOf(here, move.inode))
        if (borderOf(inode) === undefined)
          yield* this.moved({ ...move, inode }, { directory: move.inode, name }, signal);
    const before = await here.attributes(found.inode);
    const copy = await this.make(move, before);
    if (before.type === 'file') yield* this.copyData(move, copy, before.size, signal);
    if (before.type === 'directory') yield* this.gather(move, copy, signal);
    await this.dress(move, before, copy);
    await this.leadAway(move, place, { before, copy });
    const there = await this.filesOf(move.to);
    await there.rename(hidden(tentative(move.inode)), hidden(rootName(copy)), 'no-replace');
    if (before.type === 'directory') this.counters.directories++;
    else this.counters.files++;
    yield;
  }

  /** Its like there, under a name that says that nothing leads to it yet. */
  private async make({ from, inode, to }: Move, { type, uid, gid, device }: Attributes): Promise<number> {
    const target = type === 'symlink' ? await (await this.filesOf(from)).readLink(inode) : undefined;
    const node = { type, mode: 0o600, uid, gid, device, ...(target && { target }) };
    return (await (await this.filesOf(to)).make(rootInode, tentative(inode), node)).inode;
  }

  private async *copyData({ from, inode, to }: Move, copy: number, size: number, signal: AbortSignal): Steps {
    const [here, there] = [await this.filesOf(from), await this.filesOf(to)];
    for (let at = 0; at < size; ) {
      checkSignal(signal);
      const data = await here.seek(inode, at, 'data').catch((error: unknown) => {
        if (reasonOf(asError(error)) === 'no-such-place') return size;
        throw error;
      });
      if (data >= size) break;
      const hole = await here.seek(inode, data, 'hole');
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

  /** Attributes and extended ones; durable when it resolves. */
  private async dress({ from, inode, to }: Move, before: Attributes, copy: number): Promise<void> {
    const [here, there] = [await this.filesOf(from), await this.filesOf(to)];
    for (const name of await here.listExtended(inode))
      await there.setExtended(copy, name, await here.getExtended(inode, name));
    const { mode, uid, gid, accessed, modified } = before;
    await there.change(copy, { ...(before.type !== 'symlink' && { mode }), uid, gid, accessed, modified });
    await there.flush(copy);
    await there.syncAll();
  }

  private async leadAway(
    { from, inode, to: _, number: domain }: Move,
    { directory, name }: EntryPlace,
    { before: { changed }, copy }: { before: Attributes; copy: number },
  ): Promise<void> {
    const client = this.runtime.random.bytes(clientBytes);
    const now = this.times.now();
    await this.files.operate(from, {
      ...{ type: 'leadAway', directory, name, inode, changed, domain, target: copy, now, client },
      // Gone at once, whoever has it open: what he writes there fails instead of being seen by nobody.
      ...{ free: true, held: false },
    });
  }

  /** What a move that did not end left behind. */
  private async clean(move: Move): Promise<void> {
    const there = await this.filesOf(move.to);
    for (const { name } of await entriesOf(there, rootInode)) {
      const text = asBuffer(name).toString('utf8');
      if (text.startsWith(dot)) await this.drop(move, Number(text.slice(dot.length)));
    }
  }

  /** The copy of an inode, if there is one: gone unless the name leads to it. */
  private async drop({ from, to }: Move, inode: number): Promise<void> {
    const [here, there] = [await this.filesOf(from), await this.filesOf(to)];
    const copy = await absent(there.lookup(rootInode, tentative(inode)));
    if (copy === undefined) return;
    const original = await absent(here.attributes(inode));
    if (original === undefined || original.links === 0)
      return there.rename(hidden(tentative(inode)), hidden(rootName(copy.inode)), 'replace');
    if (copy.type !== 'directory') return there.unlink(rootInode, tentative(inode));
    for (const { name, inode: target } of await entriesOf(there, copy.inode)) {
      const border = borderOf(target);
      const at = { directory: copy.inode, name };
      if (border === undefined) await there.rename(at, hidden(rootName(target)), 'no-replace');
      else
        await this.files.operate(to, { type: 'dropBorder', ...at, ...border, now: this.times.now() }).then(() =>
          // It has its name here still.
          this.files.operate(to, {
            type: 'note',
            chore: 'left',
            ...border,
            done: true,
            alone: false,
            now: this.times.now(),
          }),
        );
    }
    await there.removeDirectory(rootInode, tentative(inode));
  }

  private async filesOf(domain: Domain): Promise<Files> {
    return (await this.files.table.opened(domain)).files;
  }
}

/** Of the copy of an inode nothing leads to yet. */
function tentative(inode: number): Buffer {
  return utf8(`${dot}${inode}`);
}

function hidden(name: Bytes): EntryPlace {
  return { directory: rootInode, name };
}

/** All of them. Throws `full` for more than are moved at once. */
export async function entriesOf(files: Files, directory: number): Promise<ListedEntry[]> {
  const all: ListedEntry[] = [];
  for (let after = 2n; ; ) {
    const { entries, end } = await files.list(directory, after);
    all.push(...entries);
    const last = entries.at(-1);
    if (end || last === undefined) return all;
    if (all.length > limits.movedEntriesMax)
      throw new InfinitError('full', `a directory of more than ${limits.movedEntriesMax} names is not moved`);
    after = last.cookie;
  }
}

async function absent(asked: Promise<Attributes>): Promise<Attributes | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
    return undefined;
  }
}
