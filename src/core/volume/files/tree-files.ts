// The files view for its users: `Files` over an open tree whose view is the file view. Each call is a query or an operation of
// the tree; data written is kept dirty and flushed beside (`flusher.ts`), unlinked files are kept while open (`held.ts`).

import type { Bytes } from '../../base/bytes.ts';
import { asError, type InfinitError, isError } from '../../base/errors.ts';
import { type Abortable, checkSignal, type Startable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Cancel, Runtime } from '../../runtime/runtime.ts';
import type { Effect, Tree } from '../../tree/tree.ts';
import { Attached } from './attached.ts';
import { FileData } from './file-data.ts';
import { FileLocks } from './file-locks.ts';
import { FileStates } from './file-state.ts';
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
  type Usage,
} from './files.ts';
import { Flusher } from './flusher.ts';
import { foreignChange, newOrphans } from './foreign.ts';
import { Held } from './held.ts';
import { Janitor } from './janitor.ts';
import { Losses } from './losses.ts';
import { attributesReply, clientBytes, listReply, readLinkReply, renameReply } from './messages.ts';
import { found, NameLocks } from './name-locks.ts';
import { checkName, isDot, isDotDot } from './names.ts';
import { Reading } from './reading.ts';
import { Requests } from './requests.ts';
import type { SpecialAttributes } from './special.ts';
import { FileTimes } from './times.ts';
import { type Capacity, VolumeUsage } from './usage.ts';

export { beginFiles, type NewVolume } from './begin-files.ts';

const tickMs = 5000;

export interface TreeFilesOptions {
  runtime: Pick<Runtime, 'clock' | 'random' | 'log'>;
  /** What the network has room for. */
  capacity: () => Promise<Capacity>;
  /** A file's data leaves when there is so much of it; a chunk's worth. */
  chunkBytes?: number | undefined;
  dirtyBytesMax?: number | undefined;
  /** How long data is kept and sent again while no leader can be had, milliseconds. */
  retryMs?: number | undefined;
  /** How long a flush or sync waits for that before it says so, milliseconds. */
  patienceMs?: number | undefined;
  /** What attributes of the system's own names are. */
  special?: SpecialAttributes | undefined;
}

export interface TreeFiles extends Files, Startable {
  /** To be told, and waited for, as the tree's `onForwarded`. */
  forwarded(effects: readonly Effect[]): Promise<void>;
  /** What was written here and is not in the network yet. */
  dirtyBytes(): number;
  /** Sends and syncs everything, then closes; the tree is the caller's. Throws what became of data that could not be sent. */
  stop(): Promise<void>;
}

export function openTreeFiles(tree: Tree, options: TreeFilesOptions): TreeFiles {
  return new Client(tree, options);
}

class Client implements TreeFiles {
  readonly lock: Files['lock'] = (...asked) => this.locks.lock(...asked);
  readonly unlock: Files['unlock'] = (...asked) => this.locks.unlock(...asked);
  readonly testLock: Files['testLock'] = (...asked) => this.locks.test(...asked);
  readonly getExtended: Files['getExtended'] = (...asked) => this.attached.get(...asked);
  readonly setExtended: Files['setExtended'] = (...asked) => this.attached.set(...asked);
  readonly listExtended: Files['listExtended'] = (...asked) => this.attached.list(...asked);
  readonly removeExtended: Files['removeExtended'] = (...asked) => this.attached.remove(...asked);
  private readonly tree: Tree;
  private readonly options: TreeFilesOptions;
  private readonly client: Bytes;
  private readonly times: FileTimes;
  private readonly states = new FileStates();
  private readonly names = new NameLocks();
  private readonly flusher: Flusher;
  private readonly reading: Reading;
  private readonly losses: Losses;
  private readonly requests: Requests;
  private readonly data: FileData;
  private readonly locks: FileLocks;
  private readonly attached: Attached;
  private readonly held: Held;
  private readonly janitor: Janitor;
  private readonly listeners = new Set<(change: ForeignChange) => Promise<void>>();
  private openFiles = 0;
  private readonly volume: VolumeUsage;
  private cancelTick: Cancel | undefined;
  private off: (() => void) | undefined;
  private stopping: Promise<void> | undefined;

  constructor(tree: Tree, options: TreeFilesOptions) {
    const { runtime } = options;
    this.tree = tree;
    this.options = options;
    this.client = runtime.random.bytes(clientBytes);
    this.times = new FileTimes(runtime.clock);
    const onShifted = (inode: number) => void this.tell({ inodes: [inode], entries: [] });
    this.flusher = new Flusher({ ...options, tree, states: this.states, onShifted });
    this.reading = new Reading(tree);
    this.losses = new Losses(tree, runtime.clock);
    const { states, times, flusher, reading, losses, client } = this;
    this.requests = new Requests({ tree, states, flusher });
    this.locks = new FileLocks({ tree, states, flusher });
    this.attached = new Attached({ requests: this.requests, times, special: options.special });
    this.data = new FileData({
      clock: runtime.clock,
      states,
      times,
      requests: this.requests,
      flusher,
      reading,
      losses,
      locks: this.locks,
    });
    this.volume = new VolumeUsage(this.requests, runtime.clock, options.capacity);
    this.held = new Held({ runtime, tree, states, times, client });
    const release = (inode: number) => this.held.release(inode);
    this.janitor = new Janitor({ runtime, tree, states, times, client, release });
  }

  async start(): Promise<void> {
    this.off = this.tree.onChange(({ effects, missed }) => {
      if (missed) void this.checkOpen().catch((error: unknown) => this.note('could not look at open files', error));
      for (const inode of newOrphans(effects)) this.orphaned(inode);
    });
    this.scheduleTick();
  }

  dirtyBytes(): number {
    return this.flusher.room.used;
  }

  stop(): Promise<void> {
    this.stopping ??= this.closed();
    return this.stopping;
  }

  // Names.

  async lookup(directory: number, name: Bytes, options: Abortable = {}): Promise<Attributes> {
    if (!isDot(name) && !isDotDot(name)) checkName(name);
    return this.requests.asked({ type: 'lookup', directory, name }, options);
  }

  attributes(inode: number, options: Abortable = {}): Promise<Attributes> {
    return this.requests.attributes(inode, options);
  }

  readLink(inode: number, options: Abortable = {}): Promise<Bytes> {
    return this.requests.ask({ type: 'readLink', inode }, readLinkReply, options);
  }

  async make(directory: number, name: Bytes, node: NewNode, options: Abortable = {}): Promise<Attributes> {
    checkName(name);
    return this.made(directory, name, node, options);
  }

  async makeUnnamed(directory: number, node: NewNode, options: Abortable = {}): Promise<Attributes> {
    const made = await this.made(directory, undefined, node, options);
    this.open(made.inode);
    this.states.need(made.inode).orphan = true;
    return made;
  }

  async link(inode: number, directory: number, name: Bytes, options: Abortable = {}): Promise<Attributes> {
    checkName(name);
    const operation = { type: 'link', inode, directory, name, now: this.times.now() } as const;
    const linked = await this.requests.attributesOf(operation, options);
    const state = this.states.get(inode);
    if (state !== undefined) state.orphan = false;
    return linked;
  }

  async unlink(directory: number, name: Bytes, options: Abortable = {}): Promise<void> {
    checkName(name);
    await this.names.run([{ directory, name }], async () => {
      const held = await this.openAt({ directory, name }, options);
      const closing = { free: held === undefined && this.tree.alone(), client: this.client, held: held !== undefined };
      const operation = { type: 'unlink', directory, name, now: this.times.now(), ...closing } as const;
      await this.lostName(await this.requests.do(operation, attributesReply, options), held);
    });
  }

  async removeDirectory(directory: number, name: Bytes, options: Abortable = {}): Promise<void> {
    checkName(name);
    await this.requests.run({ type: 'removeDirectory', directory, name, now: this.times.now() }, options);
  }

  async rename(from: EntryPlace, to: EntryPlace, mode: RenameMode, options: Abortable = {}): Promise<void> {
    checkName(from.name);
    checkName(to.name);
    await this.names.run([from, to], async () => {
      const held = mode === 'replace' ? await this.openAt(to, options) : undefined;
      const closing = { free: held === undefined && this.tree.alone(), client: this.client, held };
      const operation = { type: 'rename', from, to, mode, now: this.times.now(), ...closing } as const;
      const { replaced } = await this.requests.do(operation, renameReply, options);
      if (replaced !== undefined && mode === 'replace') await this.lostName(replaced, held);
    });
  }

  async list(
    directory: number,
    after: Cookie,
    options: Abortable & { limit?: number; attributes?: boolean } = {},
  ): Promise<{ entries: ListedEntry[]; end: boolean }> {
    const limit = Math.max(1, Math.min(options.limit ?? limits.listEntriesMax, limits.listEntriesMax));
    const { arrivals } = this.flusher;
    const query = { type: 'list', directory, after, limit, attributes: options.attributes ?? false } as const;
    const { entries, end } = await this.requests.ask(query, listReply, options);
    const shown = entries.map(async ({ attributes, ...entry }): Promise<ListedEntry> => {
      if (attributes === undefined) return entry;
      // Gone since: what was answered was true then.
      const fresh = await found(Promise.resolve(this.requests.fresh(attributes, arrivals, options)));
      return { ...entry, attributes: fresh ?? attributes };
    });
    return { entries: await Promise.all(shown), end };
  }

  // Data.

  open(inode: number): void {
    const state = this.states.need(inode);
    if (state.opens++ === 0) this.openFiles++;
    this.losses.mark(state);
  }

  async close(inode: number): Promise<void> {
    const state = this.states.get(inode);
    if (state === undefined || state.opens === 0 || --state.opens > 0) return;
    this.openFiles--;
    this.reading.forget(state);
    if (!state.orphan) {
      this.states.settle(state);
      return;
    }
    state.orphan = false;
    this.flusher.forget(state);
    await this.held.release(inode);
    if (this.tree.status().role === 'leader') void this.janitor.run();
  }

  readonly change: Files['change'] = (...asked) => this.data.change(...asked);
  readonly read: Files['read'] = (...asked) => this.data.read(...asked);
  readonly write: Files['write'] = (...asked) => this.data.write(...asked);
  readonly allocate: Files['allocate'] = (...asked) => this.data.allocate(...asked);
  readonly seek: Files['seek'] = (...asked) => this.data.seek(...asked);
  readonly flush: Files['flush'] = (...asked) => this.data.flush(...asked);
  readonly sync: Files['sync'] = (...asked) => this.data.sync(...asked);
  readonly syncAll: Files['syncAll'] = (...asked) => this.data.syncAll(...asked);

  // The whole.

  usage(options: Abortable = {}): Promise<Usage> {
    return this.volume.read(options);
  }
  freshForMs(): number {
    return this.tree.leaseMs();
  }

  onForeign(listener: (change: ForeignChange) => Promise<void>): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async forwarded(effects: readonly Effect[]): Promise<void> {
    const change = foreignChange(effects);
    for (const inode of change.inodes) this.states.get(inode)?.changedBy(this.options.runtime.clock.monotonic());
    for (const inode of newOrphans(effects)) this.orphaned(inode);
    await this.tell(change);
  }

  private async tell(change: ForeignChange): Promise<void> {
    for (const result of await Promise.allSettled(Array.from(this.listeners, (listener) => listener(change))))
      if (result.status === 'rejected') this.note('a listener failed', result.reason);
  }

  private async made(directory: number, name: Bytes | undefined, node: NewNode, options: Abortable) {
    const { type, mode, uid, gid, device = 0, target = Buffer.alloc(0) } = node;
    if (target.length > limits.symlinkBytesMax)
      throw fileError('name-too-long', `a link has at most ${limits.symlinkBytesMax} bytes`);
    checkSignal(options.signal);
    const made = { type, mode, uid, gid, device, target };
    const now = this.times.now();
    const operation = { type: 'make', directory, name, node: made, now, client: this.client } as const;
    return this.requests.attributesOf(operation, options);
  }

  /** The inode at a place when this client has it open. */
  private async openAt({ directory, name }: EntryPlace, options: Abortable): Promise<number | undefined> {
    if (this.openFiles === 0) return undefined;
    const there = await found(this.requests.asked({ type: 'lookup', directory, name }, options));
    return there !== undefined && (this.states.get(there.inode)?.opens ?? 0) > 0 ? there.inode : undefined;
  }

  /** `held`: the inode of which it was said that this client has it open. */
  private async lostName({ inode, links }: Attributes, held: number | undefined): Promise<void> {
    if (links > 0) return;
    this.requests.forgetFile(inode);
    const state = this.states.get(inode);
    if (state === undefined) return;
    if (state.opens === 0) this.flusher.forget(state);
    else if (inode === held) state.orphan = true;
    else await this.held.hold(state);
    // Closed while the name went: nobody else would say so.
    if (inode === held && state.opens === 0) await this.held.release(inode);
  }

  private orphaned(inode: number): void {
    const state = this.states.get(inode);
    if (state === undefined || state.opens === 0 || state.orphan) return;
    void this.held.hold(state);
  }

  /** Changes were missed: any open file may have lost its name. */
  private async checkOpen(): Promise<void> {
    for (const { inode, opens, orphan } of this.states.all) {
      if (opens === 0 || orphan) continue;
      const attributes = await found(this.requests.attributes(inode));
      if (attributes?.links === 0) this.orphaned(inode);
    }
  }

  private scheduleTick(): void {
    this.cancelTick = this.options.runtime.clock.after(tickMs, () => {
      this.losses.notice();
      void Promise.allSettled([
        this.held.tick(),
        this.tree.status().role === 'leader' ? this.janitor.run() : undefined,
      ]).then(() => {
        if (this.stopping === undefined) this.scheduleTick();
      });
    });
  }

  private async closed(): Promise<void> {
    this.cancelTick?.();
    this.off?.();
    await this.janitor.stop();
    const failed: InfinitError | undefined = await this.data.syncAll().then(
      () => undefined,
      (error: unknown) => asError(error),
    );
    this.flusher.stop();
    this.locks.stop();
    this.reading.stop();
    await this.held.releaseAll();
    if (failed !== undefined) throw failed;
  }

  private note(what: string, error: unknown): void {
    const { kind, message } = asError(error);
    const level = isError(error, 'unavailable', 'cancelled') ? 'debug' : 'warn';
    this.options.runtime.log.write(level, 'files', `${what}: ${message}`, { kind });
  }
}
