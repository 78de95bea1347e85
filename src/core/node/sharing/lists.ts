// Access lists of single directories and files: which tree has a list, made when there is none; and the work that follows from one
// that is set: what it is for goes into that tree, and what nobody names any more goes (decision 019).

import { type Bytes, equalBytes } from '../../base/bytes.ts';
import { decode, encode } from '../../base/codec.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import type { Work } from '../../store/worker.ts';
import { treeIdBytes } from '../../tree/root.ts';
import type { Tree } from '../../tree/tree.ts';
import { beginFiles } from '../../volume/files/begin-files.ts';
import type { DomainFiles } from '../../volume/files/domain-files.ts';
import type { Domain } from '../../volume/files/domain-table.ts';
import { borderOf } from '../../volume/files/entries.ts';
import { type EntryPlace, type Files, fileError, rootInode } from '../../volume/files/files.ts';
import {
  type Chore,
  type DomainRecord,
  domainNumberReply,
  domainsReply,
  fileQuery,
} from '../../volume/files/messages.ts';
import {
  absent,
  choresOf,
  entriesOf,
  listed,
  lockMoves,
  type Move,
  Mover,
  unlockMoves,
} from '../../volume/files/mover.ts';
import { removed, rootName } from '../../volume/files/roots.ts';
import { FileTimes, timeMs } from '../../volume/files/times.ts';
import type { LinkedNode } from '../link.ts';
import { createRoot } from '../trees.ts';
import { listHash, type Statement } from './statement.ts';

const format = 1;
const hiddenMode = 0o700;
/** Who sets a list is not answered before small things are done. */
const patienceMs = 3000;
const pollMs = 20;
/** What a process that has ended was doing is not waited for any longer. */
const staleMs = 10 * 60_000;

/** How a tree of the volume is shared, for its owner. */
export interface ListKeeper {
  /** What the owner has said; undefined: nothing of his own stands there. */
  said(): Promise<Statement | undefined>;
  say(said: Statement): Promise<void>;
}

export interface ListsOptions {
  linked: LinkedNode;
  files: DomainFiles;
  /** Of the volume: whose all its trees are. */
  owner: Bytes;
  keeperOf: (domain: Domain) => ListKeeper;
}

export class Lists implements Work {
  readonly name = 'lists';
  onWork: () => void = () => {};
  private readonly options: ListsOptions;
  private readonly mover: Mover;
  private readonly times: FileTimes;
  private course: { tree: Tree; of: string; steps: AsyncGenerator<void, void, void> } | undefined;
  /** Moves that could not be ended: others come first. */
  private readonly failed = new Set<string>();
  /** One list is set after the other. */
  private order: Promise<unknown> = Promise.resolve();

  constructor(options: ListsOptions) {
    this.options = options;
    const { runtime } = options.linked.node;
    this.mover = new Mover(options.files, runtime);
    this.times = new FileTimes(runtime.clock);
  }

  get counters(): Record<string, number> {
    return { ...this.mover.counters };
  }

  get isOwner(): boolean {
    return equalBytes(this.options.owner, this.options.linked.user.publicKey);
  }

  /** Whether the list of the tree is that of the inode alone, with all below. */
  async isWhole(domain: Domain, inode: number): Promise<boolean> {
    if (domain.base === 0) return inode === rootInode;
    const { files } = await this.options.files.table.opened(domain);
    const { entries } = await files.list(rootInode, 2n, { limit: 2 });
    const [first] = entries;
    return entries.length === 1 && first !== undefined && first.inode === inode;
  }

  /** Changes the list of the tree while nothing else comes under it. */
  async changing(domain: Domain, inode: number, change: () => Promise<void>): Promise<void> {
    if (domain.base === 0) return change();
    await this.inOrder(async () => {
      const { from, number, record } = await this.whereNamed(domain, inode);
      await this.note(from, { domain: number, chore: 'changing', inode }, { alone: true });
      try {
        if (!(await this.isWhole(domain, inode))) throw fileError('busy', 'others have the list by now');
        await change();
        await this.record(from, domain, record.since);
      } finally {
        await this.note(from, { domain: number, chore: 'changing', inode }, { done: true });
      }
    });
  }

  /** The inode, with all below that has no list of its own, gets the list; small things before it resolves. */
  async separate(from: Domain, inode: number, said: Statement): Promise<void> {
    if (!this.isOwner) throw new InfinitError('denied', 'only the owner says who reads and writes');
    await this.checkNotRoot(from, inode);
    await this.inOrder(async () => {
      const chores = (await this.chores(from)).filter((chore) => chore.chore === 'moving' && chore.inode === inode);
      if (chores.length > 0) throw fileError('busy', 'its access list is being changed');
      // Before a tree is made for nothing.
      const { files } = await this.options.files.table.opened(from);
      await files.attributes(inode);
      await this.placeFor(from, inode, said);
    });
    this.onWork();
    const { clock } = this.options.linked.node.runtime;
    for (const began = clock.monotonic(); clock.monotonic() - began < patienceMs; await clock.sleep(pollMs))
      if (!(await this.isMoving(from, inode))) return;
  }

  /** A root is named in another tree, where its name would have to lead away. */
  private async checkNotRoot(from: Domain, inode: number): Promise<void> {
    if (from.base === 0) return;
    const { files } = await this.options.files.table.opened(from);
    if (!(await hasRoot(files, inode))) return;
    const { from: above, number } = await this.whereNamed(from, inode);
    if ((await this.chores(above)).some(({ chore, domain }) => chore === 'moving' && domain === number))
      throw fileError('busy', 'what it is in is given another access list');
    throw new InfinitError(
      'unsupported',
      'others have the same access list: it cannot be changed for one of them alone',
      {
        hint: 'copy it: the copy has the list of its directory, and can be given another one',
      },
    );
  }

  async isMoving(from: Domain, inode: number): Promise<boolean> {
    return (await this.chores(from)).some((chore) => chore.chore === 'moving' && chore.inode === inode);
  }

  /** Paths, seen from a directory, of what has a list of its own below. */
  async below(domain: Domain, inode: number): Promise<string[]> {
    const { files } = this.options;
    const found: string[] = [];
    const walk = async (directory: number, path: string): Promise<void> => {
      for (const { name, inode: next, type } of await entriesOf(files, directory)) {
        const at = `${path}${Buffer.from(name).toString('utf8')}`;
        if (files.table.at(next).domain !== files.table.at(directory).domain) found.push(at);
        if (type === 'directory') await walk(next, `${at}/`);
      }
    };
    await walk(domain.base + inode, '');
    return found;
  }

  async step(signal: AbortSignal): Promise<boolean> {
    if (this.course !== undefined) {
      const { of } = this.course;
      try {
        if (!(await this.course.steps.next()).done) return true;
        this.failed.delete(of);
      } catch (error) {
        this.failed.add(of);
        await this.endCourse();
        throw error;
      }
      await this.endCourse();
      return true;
    }
    const later: { domain: Domain; chore: Chore }[] = [];
    for (const domain of this.options.files.table.all) {
      if (domain.now === undefined || domain.now.readOnly) continue;
      await this.openNamed(domain);
      for (const chore of await this.chores(domain))
        if (this.failed.has(nameOf(domain, chore))) later.push({ domain, chore });
        else if (await this.begin(domain, chore, signal)) return true;
    }
    this.failed.clear();
    for (const { domain, chore } of later) if (await this.begin(domain, chore, signal)) return true;
    return false;
  }

  async stop(): Promise<void> {
    await this.endCourse();
  }

  /** Opens what a tree names: groups are followed, keys renewed, garbage collected of what is open. */
  async openNamed(from: Domain): Promise<void> {
    const { table } = this.options.files;
    for (const { record } of await this.records(from)) {
      const domain = table.named({ treeId: record.treeId, root: record.root });
      await table.opened(domain).catch((error: unknown) => {
        if (!isError(error, 'unavailable', 'denied', 'lost', 'full')) throw error;
      });
    }
  }

  /** Whether it is work for several steps. */
  private async begin(
    from: Domain,
    { chore, domain: number, inode, since }: Chore,
    signal: AbortSignal,
  ): Promise<boolean> {
    const ageMs = this.options.linked.node.runtime.clock.now() - timeMs(since);
    if (chore === 'changing') {
      if (ageMs > staleMs) await this.note(from, { domain: number, chore, inode }, { done: true });
      return false;
    }
    // A part of what is being moved.
    if (chore === 'led') return false;
    const to = await this.options.files.table.domainOf(from, number);
    if (chore === 'left') {
      if (ageMs > pollMs) await this.finishRemoval(from, to, { domain: number, chore, inode });
      return false;
    }
    const { tree } = await this.options.files.table.opened(from);
    const guard = await lockMoves(tree);
    if (guard === undefined) return false;
    const of = nameOf(from, { domain: number, inode });
    this.course = { tree, of, steps: this.moving({ from, inode, to, number, guard }, signal) };
    return true;
  }

  /** All names of a file go: it is the file that has the list. */
  private async *moving(move: Move, signal: AbortSignal): AsyncGenerator<void, void, void> {
    const { from, inode, number } = move;
    await this.mover.clean(move);
    for (const place of await this.placesOf(from, inode))
      if (!(yield* this.mover.move(move, place, signal))) throw fileError('busy', 'it went to another place meanwhile');
    const { files } = await this.options.files.table.opened(from);
    const left = await absent(files.attributes(inode));
    if (left !== undefined && left.links > 0) throw fileError('busy', 'it got another name meanwhile');
    await this.note(from, { domain: number, chore: 'moving', inode }, { done: true });
  }

  private async endCourse(): Promise<void> {
    const { course } = this;
    this.course = undefined;
    await course?.steps.return().catch(() => {});
    if (course !== undefined) await unlockMoves(course.tree);
  }

  /** What cannot be removed yet stays noted. */
  private async finishRemoval(
    from: Domain,
    to: Domain,
    chore: Pick<Chore, 'domain' | 'chore' | 'inode'>,
  ): Promise<void> {
    try {
      await this.remove(to, chore.inode);
      await this.note(from, chore, { done: true });
    } catch (error) {
      if (!isError(error, 'conflict', 'exists', 'unavailable', 'denied', 'lost')) throw error;
    }
  }

  /** What has lost its name is removed; a directory was empty then. `busy` while it is being moved. */
  private async remove(domain: Domain, inode: number): Promise<void> {
    const { files, tree } = await this.options.files.table.opened(domain);
    const remove = async () => {
      const { type } = await files.lookup(rootInode, rootName(inode));
      if (type === 'directory') await files.removeDirectory(rootInode, rootName(inode));
      else await files.unlink(rootInode, rootName(inode));
    };
    await removed(files, inode, remove());
    await tree.sync();
  }

  /** Where it stands in its tree: as it was found last when it has one name, else looked for everywhere. */
  private async placesOf(domain: Domain, inode: number): Promise<EntryPlace[]> {
    const { files } = this.options;
    const own = await files.table.opened(domain);
    const found = await absent(own.files.attributes(inode));
    if (found === undefined || found.links === 0) return [];
    const names = found.type === 'directory' ? 1 : found.links;
    const known = files.placeOf(domain.base + inode);
    if (names === 1 && known !== undefined) {
      const { domain: at, inode: directory } = files.table.at(known.directory);
      const place = { directory, name: known.name };
      // It may have been renamed since.
      if (at === domain && (await absent(own.files.lookup(directory, known.name)))?.inode === inode) return [place];
    }
    const places: EntryPlace[] = [];
    const open = [rootInode];
    for (let next = open.pop(); next !== undefined; next = open.pop())
      for await (const { name, inode: other, type } of listed(own.files, next)) {
        if (other === inode && places.push({ directory: next, name }) === names) return places;
        if (type === 'directory' && borderOf(other) === undefined) open.push(other);
      }
    return places;
  }

  /** A tree that has the list, noted as where the inode goes. */
  private async placeFor(from: Domain, inode: number, said: Statement): Promise<void> {
    const { files, keeperOf } = this.options;
    const list = listHash(said);
    for (const { domain: number, record } of await this.records(from)) {
      if (!equalBytes(record.list, list)) continue;
      const domain = files.table.named({ treeId: record.treeId, root: record.root });
      const chore = { domain: number, chore: 'moving', inode } as const;
      await this.note(from, chore);
      // Looked at behind the note: from then on nobody changes it.
      const stands = await this.stands(domain, list).catch(() => false);
      if (stands) return;
      await this.note(from, chore, { done: true });
    }
    const { domain, number } = await this.create(from, list);
    await keeperOf(domain).say(said);
    await this.note(from, { domain: number, chore: 'moving', inode });
  }

  private async stands(domain: Domain, list: Bytes): Promise<boolean> {
    await this.options.files.table.opened(domain);
    const said = await this.options.keeperOf(domain).said();
    return said !== undefined && equalBytes(listHash(said), list);
  }

  private async create(from: Domain, list: Bytes): Promise<{ domain: Domain; number: number }> {
    const { linked, files } = this.options;
    const { runtime } = linked.node;
    const treeId = runtime.random.bytes(treeIdBytes);
    const root = await createRoot(linked, treeId, { read: false, write: false }, {});
    const record = { format, treeId, root, list, since: this.times.now() };
    const number = decode(domainNumberReply, await files.operate(from, { type: 'addDomain', record }));
    const domain = files.table.named({ treeId, root });
    const { tree } = await files.table.opened(domain);
    const [uid, gid] = [0, 0];
    await beginFiles(tree, runtime, { mode: hiddenMode, uid, gid });
    return { domain, number };
  }

  private async whereNamed(
    domain: Domain,
    inode: number,
  ): Promise<{ from: Domain; number: number; record: DomainRecord }> {
    const { files } = this.options;
    const root = domain.roots.get(inode);
    if (root === undefined) throw fileError('busy', 'it was not looked up lately');
    const { domain: from } = files.table.at(root.parent);
    const named = (await this.records(from)).find(({ record }) => equalBytes(record.treeId, domain.place.treeId));
    if (named === undefined) throw fileError('stale', 'nothing leads there any more');
    return { from, number: named.domain, record: named.record };
  }

  /** Whose list it has now. */
  private async record(from: Domain, domain: Domain, since: DomainRecord['since']): Promise<void> {
    const { treeId, root } = domain.place;
    const said = await this.options.keeperOf(domain).said();
    if (said === undefined || root === undefined) return;
    await this.options.files.operate(from, {
      type: 'addDomain',
      record: { format, treeId, root, list: listHash(said), since },
    });
  }

  private async records(from: Domain) {
    const { tree } = await this.options.files.table.opened(from);
    return decode(domainsReply, await tree.query(encode(fileQuery, { type: 'domains' })));
  }

  private chores(from: Domain): Promise<Chore[]> {
    return choresOf(this.options.files, from);
  }

  private async note(
    from: Domain,
    chore: Pick<Chore, 'domain' | 'chore' | 'inode'>,
    { done = false, alone = false } = {},
  ): Promise<void> {
    await this.options.files.operate(from, { type: 'note', ...chore, done, alone, now: this.times.now() });
  }

  private inOrder<T>(task: () => Promise<T>): Promise<T> {
    const done = this.order.then(task, task);
    this.order = done.catch(() => {});
    return done;
  }
}

function nameOf({ base }: Domain, { domain, inode }: Pick<Chore, 'domain' | 'inode'>): string {
  return `${base}:${domain}:${inode}`;
}

async function hasRoot(files: Files, inode: number): Promise<boolean> {
  for await (const root of listed(files, rootInode)) if (root.inode === inode) return true;
  return false;
}
