// A volume over a client's own journal (decision 029): its files are there without the network once the journal has begun; the tree
// in the network is opened when it can be, and what waits is sent there. Directories with access lists of their own are other trees,
// which have no journal.

import type { Bytes } from '../../base/bytes.ts';
import { asError, InfinitError, isError } from '../../base/errors.ts';
import { abortable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { VolumeDescriptor } from '../../descriptor/descriptor.ts';
import type { Clock, FileLock } from '../../runtime/runtime.ts';
import { asTree } from '../../tree/async/as-tree.ts';
import { AsyncTree, type Waiting } from '../../tree/async/async-tree.ts';
import { Sender } from '../../tree/async/sender.ts';
import type { Tree } from '../../tree/tree.ts';
import type { OpenDomain } from '../../volume/files/domain-table.ts';
import { createFileView } from '../../volume/files/file-view.ts';
import { rootInode } from '../../volume/files/files.ts';
import { lateFiles } from '../../volume/files/late.ts';
import { NameHashes } from '../../volume/files/names.ts';
import type { SpecialAttributes } from '../../volume/files/special.ts';
import { openTreeFiles, type TreeFiles } from '../../volume/files/tree-files.ts';
import type { Capacity } from '../../volume/files/usage.ts';
import type { LinkedNode } from '../link.ts';
import { beginJournal, damagedError, type JournalHead, lockJournal, readHead } from './journal-folder.ts';
import { RefusedOperations } from './refused.ts';

/** The volume's own tree, opened in the network. */
export interface Connected extends OpenDomain {
  nameKey: Bytes;
}

export interface LateDomainOptions {
  linked: LinkedNode;
  volume: VolumeDescriptor;
  /** Of the journal. */
  folder: string;
  /** Throws `unavailable`. */
  connect: (signal?: AbortSignal) => Promise<Connected>;
  capacity: () => Promise<Capacity>;
  chunkBytes: number;
  special: SpecialAttributes;
  /** A line for the person. */
  warn(text: string): void;
}

/** Opened by who may write, else as without a journal. Throws `exists`, `corrupt`; for a journal that has not begun `unavailable`. */
export async function openLateDomain(options: LateDomainOptions): Promise<OpenDomain> {
  const { linked, volume, folder, warn } = options;
  const { runtime } = linked.node;
  const lock = await lockJournal(runtime, folder, volume.name);
  try {
    let head = await readHead(runtime, folder, linked.user);
    let connected: Connected | undefined;
    if (head === undefined) {
      connected = await options.connect();
      if (connected.readOnly) {
        await lock.release();
        warn(`volume "${volume.name}": --async has no effect: it may only be read`);
        return connected;
      }
      head = await beginJournal(runtime, folder, linked.user, { volume, nameKey: connected.nameKey });
    }
    const domain = new LateDomain(options, head, lock, connected);
    await domain.start();
    return domain;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

export class LateDomain implements OpenDomain {
  readonly tree: Tree;
  readonly files: TreeFiles;
  readonly readOnly = false;
  private readonly options: LateDomainOptions;
  private readonly lock: FileLock;
  private readonly own: AsyncTree;
  private readonly sender: Sender;
  private readonly refused: RefusedOperations;
  private readonly leaving = new AbortController();
  private connected: Connected | undefined;
  private connecting: Promise<Connected> | undefined;
  private lastCapacity: Capacity | undefined;

  constructor(options: LateDomainOptions, head: JournalHead, lock: FileLock, connected: Connected | undefined) {
    const { linked, volume, folder, special } = options;
    const { runtime } = linked.node;
    this.options = options;
    this.lock = lock;
    this.connected = connected;
    const label = `conflict ${new Date(runtime.clock.now()).toISOString().slice(0, 10)}`;
    const view = createFileView({ nameKey: head.nameKey });
    const files = () => this.reached().files;
    const names = new NameHashes(head.nameKey);
    const late = lateFiles({ names, clock: runtime.clock, label, files });
    this.own = new AsyncTree({
      ...{ runtime, view, late, folder, key: head.key },
      torn: (path, bytes) =>
        options.warn(
          `volume "${volume.name}": the end of its journal was torn: ${bytes} bytes are set aside in ${path}`,
        ),
    });
    this.refused = new RefusedOperations(runtime, folder, head.key);
    this.sender = new Sender({
      runtime,
      tree: this.own,
      late,
      journal: head.journal,
      label,
      connect: async () => (await this.connect()).tree,
      tell: (text) => options.warn(`volume "${volume.name}": ${text}`),
      refused: (waiting, reason) => this.keep(waiting, reason),
    });
    this.tree = asTree(this.own, this.sender, head.treeId);
    this.files = openTreeFiles(this.tree, {
      runtime,
      special,
      capacity: () => this.capacity(),
      chunkBytes: options.chunkBytes,
    });
  }

  /** A journal that has just begun knows nothing yet; else the network is waited for a little. */
  async start(): Promise<void> {
    const { linked, folder } = this.options;
    try {
      await this.own.open();
    } catch (error) {
      await this.connected?.close();
      if (isError(error, 'corrupt')) throw damagedError(folder, error.message, error);
      throw error;
    }
    try {
      const { clock } = linked.node.runtime;
      const met = this.sender.drain();
      if (this.connected === undefined) await Promise.race([met.catch(() => {}), clock.sleep(limits.asyncPatienceMs)]);
      else await met;
      await this.files.start();
      if (this.connected !== undefined) await this.files.attributes(rootInode);
      this.sender.start();
    } catch (error) {
      await this.ended();
      throw error;
    }
  }

  get waiting(): number {
    return this.own.facts.operations;
  }

  /** What was written is in the journal then, and sent when the network takes it at once. Says what waits. */
  async close(): Promise<void> {
    const { volume, warn } = this.options;
    try {
      await this.files.stop();
      await this.farewell();
    } finally {
      const { waiting } = this;
      await this.ended();
      await this.lock.release();
      if (waiting > 0) {
        const what = waiting === 1 ? '1 operation waits; it is' : `${waiting} operations wait; they are`;
        warn(`volume "${volume.name}": ${what} sent by the next mount`);
      }
    }
  }

  private async farewell(): Promise<void> {
    if (this.own.remote === undefined || this.waiting === 0) return;
    const enough = new AbortController();
    const cancel = this.options.linked.node.runtime.clock.after(limits.asyncFarewellMs, () => enough.abort());
    const { signal } = enough;
    await abortable(this.sender.drain({ signal }), { signal }).catch(() => {}); // it is told what waits
    cancel();
  }

  private async ended(): Promise<void> {
    this.leaving.abort();
    await this.sender.stop();
    await this.own.close();
    const connected = this.connected ?? (await this.connecting?.catch(() => undefined));
    if (connected !== undefined) await this.leave(connected);
  }

  /** What is done there is done, but that cannot be seen to while the network is not reached: then it is left without. */
  private async leave({ tree, close }: Connected): Promise<void> {
    const { clock, log } = this.options.linked.node.runtime;
    const closed = close().catch((error: unknown) => {
      log.write('debug', 'journal', `the network was left: ${asError(error).message}`);
    });
    await waitedFor(closed, clock);
    await tree.stop();
    await closed;
  }

  private async connect(): Promise<Connected> {
    if (this.connected !== undefined) return this.connected;
    this.connecting ??= this.options.connect(this.leaving.signal);
    try {
      this.connected = await this.connecting;
      return this.connected;
    } finally {
      this.connecting = undefined;
    }
  }

  private reached(): Connected {
    if (this.connected !== undefined) return this.connected;
    throw new InfinitError('unavailable', 'the network is not reached');
  }

  /** Without the network: what the journal has room for. */
  private async capacity(): Promise<Capacity> {
    if (this.own.remote !== undefined) {
      const seen = await this.options.capacity();
      if (seen.totalBytes > 0) this.lastCapacity = seen;
    }
    const room = Math.max(0, limits.asyncBytesMax - this.own.facts.bytes);
    const { totalBytes, freeBytes } = this.lastCapacity ?? { totalBytes: limits.asyncBytesMax, freeBytes: room };
    return { totalBytes, freeBytes: this.own.remote === undefined ? Math.min(freeBytes, room) : freeBytes };
  }

  private async keep(waiting: Waiting, reason: string): Promise<void> {
    const { volume, warn } = this.options;
    await this.refused.keep(waiting, await this.own.dataOf(waiting), reason);
    const hint = `infinit journal describe --network ${volume.network}`;
    warn(`volume "${volume.name}": operation ${waiting.number} is kept apart: ${reason}; ${hint}`);
  }
}

/** Until it has ended, however, or long enough. */
async function waitedFor(task: Promise<unknown>, clock: Pick<Clock, 'sleep'>): Promise<void> {
  const enough = new AbortController();
  const late = clock.sleep(limits.asyncPatienceMs, { signal: enough.signal });
  await Promise.race([task, late].map((one) => one.catch(() => {})));
  enough.abort(); // a timer left would keep the process
}

/** Lines that say what a mount with a journal gives up. */
export const lateNotices = [
  'writes are kept on this disk and sent when the network takes them (--async). Others see them late; O_EXCL and locks hold on',
  'this mount only; what waits is lost with this device; a full network is met later. What waits: infinit journal stat',
];
