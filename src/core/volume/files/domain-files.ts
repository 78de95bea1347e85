// The files of a volume whose directories and files may have access lists of their own: one tree for each list, as one file system.
// What takes two trees is put together here. A tree this user may not read shows that something is there, and nothing else of it.

import type { Bytes } from '../../base/bytes.ts';
import { encode } from '../../base/codec.ts';
import { asError, InfinitError, isError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { DoOptions } from '../../tree/tree.ts';
import { type Domain, DomainTable, type OpenDomain, type TreePlace } from './domain-table.ts';
import { borderAttributes, borderOf } from './entries.ts';
import {
  type Attributes,
  type Cookie,
  type EntryPlace,
  type Files,
  type ForeignChange,
  fileError,
  type ListedEntry,
  type NewNode,
  type RenameMode,
  reasonOf,
  rootInode,
  type Usage,
} from './files.ts';
import { type FileOperation, fileOperation } from './messages.ts';
import { isDot, isDotDot } from './names.ts';
import { removed, rootName } from './roots.ts';
import { FileTimes } from './times.ts';
import type { TreeFiles } from './tree-files.ts';

const placesMax = 65_536;

export interface DomainFilesOptions {
  runtime: Pick<Runtime, 'clock' | 'log'>;
  root: TreePlace;
  open: (place: TreePlace, domain: Domain) => Promise<OpenDomain>;
}

/** An entry that leads to another tree. */
interface Border {
  from: Domain;
  /** As `from` numbers the other tree. */
  number: number;
  to: Domain;
  inode: number;
  type: Attributes['type'];
}

export class DomainFiles implements Files {
  readonly table: DomainTable;
  private readonly options: DomainFilesOptions;
  private readonly times: FileTimes;
  private readonly listeners = new Set<(change: ForeignChange) => Promise<void>>();
  /** Where inodes were found last. */
  private readonly places = new Map<number, EntryPlace>();

  constructor(options: DomainFilesOptions) {
    this.options = options;
    this.times = new FileTimes(options.runtime.clock);
    const { clock } = options.runtime;
    const onOpened = (domain: Domain, { files }: OpenDomain) => {
      files.onForeign((change) => this.tell(domain, change));
    };
    this.table = new DomainTable({ clock, root: options.root, open: options.open, onOpened });
  }

  /** Throws what opening the volume throws. */
  async start(): Promise<void> {
    await this.table.opened(this.table.root);
  }

  /** Sends and commits everything, then closes all. Throws what became of data that could not be sent. */
  async stop(): Promise<void> {
    const ended = await Promise.allSettled(this.table.all.map((domain) => this.table.close(domain)));
    for (const end of ended) if (end.status === 'rejected') throw asError(end.reason);
  }

  dirtyBytes(): number {
    return this.open_.reduce((sum, { files }) => sum + files.dirtyBytes(), 0);
  }

  /** Where an inode was found last; undefined when nobody looked for it lately. */
  placeOf(number: number): EntryPlace | undefined {
    return this.places.get(number);
  }

  // Names.

  async lookup(directory: number, name: Bytes, options: Abortable = {}): Promise<Attributes> {
    const { domain, inode } = this.table.at(directory);
    const root = domain.roots.get(inode);
    if (root !== undefined && isDotDot(name)) return this.attributes(root.parent, options);
    const { files } = domain.now ?? (await this.table.opened(domain));
    const found = await files.lookup(inode, name, options);
    const border = borderOf(found.inode);
    if (border === undefined) {
      const shown = shownIn(domain, found);
      if (!isDot(name) && !isDotDot(name)) this.remember(shown.inode, { directory, name });
      return shown;
    }
    const to = await this.table.domainOf(domain, border.domain, options);
    to.meet(border.inode, { parent: directory, type: found.type });
    this.remember(to.base + border.inode, { directory, name });
    return this.attributes(to.base + border.inode, options);
  }

  async attributes(number: number, options: Abortable = {}): Promise<Attributes> {
    const { domain, inode } = this.table.at(number);
    const root = domain.roots.get(inode);
    try {
      const { files } = domain.now ?? (await this.table.opened(domain));
      return shownIn(domain, await files.attributes(inode, options));
    } catch (error) {
      // What is known from the entry alone: that it is there. One whose other half is gone can so be removed.
      if (root === undefined || !(isError(error, 'denied') || reasonOf(asError(error)) === 'stale')) throw error;
      return { ...borderAttributes({ domain: 0, inode, type: root.type, name: rootName(inode) }), inode: number };
    }
  }

  readLink(number: number, options?: Abortable): Promise<Bytes> {
    return this.in(number, (files, inode) => files.readLink(inode, options));
  }

  make(directory: number, name: Bytes, node: NewNode, options?: Abortable): Promise<Attributes> {
    return this.in(directory, async (files, inode, domain) => {
      const made = shownIn(domain, await files.make(inode, name, node, options));
      this.remember(made.inode, { directory, name });
      return made;
    });
  }

  makeUnnamed(directory: number, node: NewNode, options?: Abortable): Promise<Attributes> {
    return this.in(directory, async (files, inode, domain) =>
      shownIn(domain, await files.makeUnnamed(inode, node, options)),
    );
  }

  /** `cross-device` into a directory of another list. */
  link(number: number, directory: number, name: Bytes, options?: Abortable): Promise<Attributes> {
    const linked = this.table.at(number);
    return this.in(directory, async (files, inode, domain) => {
      if (linked.domain !== domain) throw fileError('cross-device', 'a file has names where one access list holds');
      return shownIn(domain, await files.link(linked.inode, inode, name, options));
    });
  }

  unlink(directory: number, name: Bytes, options: Abortable = {}): Promise<void> {
    return this.in(directory, async (files, inode, domain) => {
      try {
        return await files.unlink(inode, name, options);
      } catch (error) {
        if (reasonOf(asError(error)) !== 'elsewhere') throw error;
      }
      const border = await this.borderAt(domain, { directory: inode, name }, options);
      if (border.type === 'directory') throw fileError('is-directory', 'the entry is a directory');
      await this.dropBorder(border, { directory: inode, name });
      await this.dropFileRoot(border, options);
    });
  }

  /** Of one with a list of its own: takes writing there. It goes there first; a name left behind leads nowhere and goes next time. */
  removeDirectory(directory: number, name: Bytes, options: Abortable = {}): Promise<void> {
    return this.in(directory, async (files, inode, domain) => {
      try {
        return await files.removeDirectory(inode, name, options);
      } catch (error) {
        if (reasonOf(asError(error)) !== 'elsewhere') throw error;
      }
      const border = await this.borderAt(domain, { directory: inode, name }, options);
      if (border.type !== 'directory') throw fileError('not-directory', 'the entry is no directory');
      const there = await this.table.opened(border.to);
      await removed(there.files, border.inode, there.files.removeDirectory(rootInode, rootName(border.inode), options));
      await there.tree.sync(options);
      await this.dropBorder(border, { directory: inode, name });
      await this.noteLeft(border);
    });
  }

  /** `cross-device` between directories of different lists. */
  rename(from: EntryPlace, to: EntryPlace, mode: RenameMode, options: Abortable = {}): Promise<void> {
    const source = this.table.at(from.directory);
    return this.in(to.directory, async (files, directory, domain) => {
      if (source.domain !== domain) throw fileError('cross-device', 'the directories have different access lists');
      const places = [
        { directory: source.inode, name: from.name },
        { directory, name: to.name },
      ] as const;
      try {
        await files.rename(...places, mode, options);
      } catch (error) {
        if (reasonOf(asError(error)) !== 'elsewhere') throw error;
        // A directory with a list of its own is replaced in two steps: when it is empty it goes first.
        await this.removeDirectory(to.directory, to.name, options);
        await files.rename(...places, mode, options);
      }
    });
  }

  list(
    directory: number,
    after: Cookie,
    options: Abortable & { limit?: number; attributes?: boolean } = {},
  ): Promise<{ entries: ListedEntry[]; end: boolean }> {
    return this.in(directory, async (files, inode, domain) => {
      const { entries, end } = await files.list(inode, after, options);
      const met = new Map<number, Domain>();
      const shown: ListedEntry[] = [];
      for (const entry of entries) shown.push(await this.listed(entry, { domain, directory, met, options }));
      return { entries: shown, end };
    });
  }

  // Data.

  open(number: number): void {
    const { domain, inode } = this.table.at(number);
    if (domain.now === undefined) throw new InfinitError('denied', 'the file is not shared with you');
    domain.now.files.open(inode);
  }

  async close(number: number): Promise<void> {
    const { domain, inode } = this.table.at(number);
    await domain.now?.files.close(inode);
  }

  readonly change: Files['change'] = (number, ...asked) =>
    this.in(number, async (files, inode, domain) => shownIn(domain, await files.change(inode, ...asked)));
  readonly read: Files['read'] = (number, ...asked) => this.in(number, (files, inode) => files.read(inode, ...asked));
  readonly write: Files['write'] = (number, ...asked) =>
    this.in(number, (files, inode) => files.write(inode, ...asked));
  readonly allocate: Files['allocate'] = (number, ...asked) =>
    this.in(number, (files, inode) => files.allocate(inode, ...asked));
  readonly seek: Files['seek'] = (number, ...asked) => this.in(number, (files, inode) => files.seek(inode, ...asked));
  readonly flush: Files['flush'] = (number, ...asked) =>
    this.in(number, (files, inode) => files.flush(inode, ...asked));
  readonly sync: Files['sync'] = (number, ...asked) => this.in(number, (files, inode) => files.sync(inode, ...asked));

  readonly getExtended: Files['getExtended'] = (number, ...asked) =>
    this.in(number, (files, inode) => files.getExtended(inode, ...asked));
  readonly setExtended: Files['setExtended'] = (number, ...asked) =>
    this.in(number, (files, inode) => files.setExtended(inode, ...asked));
  readonly listExtended: Files['listExtended'] = (number, ...asked) =>
    this.in(number, (files, inode) => files.listExtended(inode, ...asked));
  readonly removeExtended: Files['removeExtended'] = (number, ...asked) =>
    this.in(number, (files, inode) => files.removeExtended(inode, ...asked));

  readonly lock: Files['lock'] = (number, ...asked) => this.in(number, (files, inode) => files.lock(inode, ...asked));
  readonly unlock: Files['unlock'] = (number, ...asked) =>
    this.in(number, (files, inode) => files.unlock(inode, ...asked));
  readonly testLock: Files['testLock'] = (number, ...asked) =>
    this.in(number, (files, inode) => files.testLock(inode, ...asked));

  // The whole.

  async syncAll(options?: Abortable): Promise<void> {
    const ended = await Promise.allSettled(this.open_.map(({ files }) => files.syncAll(options)));
    for (const end of ended) if (end.status === 'rejected') throw asError(end.reason);
  }

  /** Room is that of the volume; what is used, of all lists that are open here. */
  async usage(options?: Abortable): Promise<Usage> {
    const [first, ...others] = await Promise.all(this.open_.map(({ files }) => files.usage(options)));
    if (first === undefined) throw fileError('stale', 'the volume is closed');
    const sum = { ...first };
    for (const { usedBytes, inodesUsed } of others) {
      sum.usedBytes += usedBytes;
      sum.inodesUsed += inodesUsed;
    }
    return sum;
  }

  freshForMs(number: number): number {
    return this.table.at(number).domain.now?.files.freshForMs(number) ?? 0;
  }

  onForeign(listener: (change: ForeignChange) => Promise<void>): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** An operation on the tree itself, durable when it resolves. */
  async operate(domain: Domain, operation: FileOperation, options: Pick<DoOptions, 'guard'> = {}): Promise<Bytes> {
    const { tree } = await this.table.opened(domain);
    return tree.do(encode(fileOperation, operation), options);
  }

  private get open_(): OpenDomain[] {
    return this.table.all.flatMap(({ now }) => now ?? []);
  }

  private async in<T>(
    number: number,
    task: (files: TreeFiles, inode: number, domain: Domain) => Promise<T>,
  ): Promise<T> {
    const { domain, inode } = this.table.at(number);
    const { files } = domain.now ?? (await this.table.opened(domain));
    return task(files, inode, domain);
  }

  private async listed(
    entry: ListedEntry,
    at: { domain: Domain; directory: number; met: Map<number, Domain>; options: Abortable & { attributes?: boolean } },
  ): Promise<ListedEntry> {
    const { domain, directory, met, options } = at;
    if (isDot(entry.name)) return { ...entry, inode: directory };
    if (isDotDot(entry.name)) {
      const root = domain.roots.get(directory - domain.base);
      return { ...entry, inode: root?.parent ?? domain.base + entry.inode };
    }
    const border = borderOf(entry.inode);
    if (border === undefined) {
      const { attributes } = entry;
      if (domain.base === 0) return entry;
      return {
        ...entry,
        inode: domain.base + entry.inode,
        ...(attributes && { attributes: shownIn(domain, attributes) }),
      };
    }
    const to = met.get(border.domain) ?? (await this.table.domainOf(domain, border.domain, options));
    met.set(border.domain, to);
    to.meet(border.inode, { parent: directory, type: entry.type });
    const number = to.base + border.inode;
    // A listing does not open what is not open: whoever wants to know more looks it up.
    if (!options.attributes || to.now === undefined) return { ...entry, inode: number };
    return { ...entry, inode: number, attributes: await this.attributes(number, options) };
  }

  private async borderAt(from: Domain, { directory, name }: EntryPlace, options: Abortable): Promise<Border> {
    const { files } = await this.table.opened(from);
    const { inode, type } = await files.lookup(directory, name, options);
    const border = borderOf(inode);
    if (border === undefined) throw fileError('busy', 'another file has the name now');
    const to = await this.table.domainOf(from, border.domain, options);
    return { from, number: border.domain, to, inode: border.inode, type };
  }

  private async dropBorder({ from, number: domain, inode }: Border, place: EntryPlace): Promise<void> {
    await this.operate(from, { type: 'dropBorder', ...place, domain, inode, left: true, now: this.times.now() });
  }

  /** The other half of a removal. Where it cannot be done, whoever may does it: it is noted. */
  private async dropFileRoot(border: Border, options: Abortable): Promise<void> {
    try {
      const { files, tree } = await this.table.opened(border.to);
      await removed(files, border.inode, files.unlink(rootInode, rootName(border.inode), options));
      await tree.sync();
      await this.noteLeft(border);
    } catch (error) {
      const { kind, message } = asError(error);
      this.options.runtime.log.write('debug', 'files', `a removal is left to others: ${message}`, { kind });
    }
  }

  private async noteLeft({ from, number: domain, inode }: Border): Promise<void> {
    await this.operate(from, {
      type: 'note',
      domain,
      chore: 'left',
      inode,
      done: true,
      alone: false,
      now: this.times.now(),
    });
  }

  private async tell({ base }: Domain, change: ForeignChange): Promise<void> {
    const { inodes, entries, directories } = change;
    const told: ForeignChange =
      base === 0
        ? change
        : {
            inodes: inodes.map((inode) => base + inode),
            entries: entries.map(({ directory, name }) => ({ directory: base + directory, name })),
            ...(directories && { directories: directories.map((inode) => base + inode) }),
          };
    await Promise.all(Array.from(this.listeners, (listener) => listener(told)));
  }

  private remember(number: number, place: EntryPlace): void {
    this.places.delete(number);
    this.places.set(number, place);
    const [oldest] = this.places.keys();
    if (this.places.size > placesMax && oldest !== undefined) this.places.delete(oldest);
  }
}

function shownIn({ base }: Domain, attributes: Attributes): Attributes {
  return base === 0 ? attributes : { ...attributes, inode: base + attributes.inode };
}
