// How long nodes have been away, as this node sees it, and who holds an address when those away for less than the network's
// eviction delay are still counted (docs/protocols.md 1.3, 2.5). Overlays drop a dead node from their lists at once; data moves
// later, by this count alone.

import { toHex } from '../base/bytes.ts';
import { Events } from '../base/events.ts';
import type { Abortable, Startable } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Address, NodeId } from '../block/address.ts';
import type { ContactStore, NodeRecord, Overlay } from '../overlay/overlay.ts';
import { circleOf, type Entry, ownerIndex, pointOf, replicas } from '../overlay/ring.ts';
import type { Cancel, Runtime } from '../runtime/runtime.ts';

/**
 * The time a node was away is time that *this* node spent running and in contact with more than half of the nodes it knows to be
 * alive or dead, itself included. So a node that was paused, has just started, or is cut off with a minority believes nobody
 * absent: the steps of a monotonic clock are added, none longer than `stepMaxMs`, and a restart begins at zero. One sign of life
 * sets a node back to zero. Nodes evicted before do not count towards the half, or a network that shrank could never heal.
 */
export interface Absence {
  /** 0 for nodes that are heard of, and for this one. */
  awayMs(node: NodeId): number;
  /** Away for longer than the delay: it counts neither as a holder nor as a member that may come back. */
  isEvicted(node: NodeId): boolean;
  /** Records of the nodes that are away and not evicted: placement still counts them. */
  away(): readonly NodeRecord[];
  /**
   * Placement (protocols 1.8) over all nodes that are not evicted, those away included: who is to hold an address now. The same
   * at every node that sees the same; use it, and not `overlay.owners`, to decide what must be copied, moved or dropped. Closed
   * and leaving nodes are skipped; with `closed` those that are closed and stay count, because they keep what they hold.
   */
  holders(
    address: Address,
    count: number,
    options?: Abortable & { all?: boolean; closed?: boolean },
  ): Promise<NodeRecord[]>;
  /**
   * `evicted`: a node has been away for long enough. `returned`: one that was evicted is heard of again. `back`: this node itself
   * was out of contact, or paused; others may have gone on without it.
   */
  readonly events: Events<{ evicted: NodeId; returned: NodeId; back: undefined }>;
}

export interface AbsenceOptions {
  runtime: Runtime;
  overlay: Overlay;
  self: NodeId;
  delayMs: () => number;
  book: AbsenceBook;
}

/** What survives a restart: whom there is to be in contact with, and who of them was evicted and does not count. */
export interface AbsenceBook extends Pick<ContactStore, 'load'> {
  loadEvicted(): Promise<NodeId[]>;
  saveEvicted(nodes: readonly NodeId[]): Promise<void>;
}

const stepMs = 1000;
/** A longer step was a pause of this node: only this much of it counts. */
const stepMaxMs = 2 * stepMs;
/** A step this long is worth looking at what went on meanwhile. */
const pausedMs = 15_000;
/** A node asked about of which nothing is known is tried this often. */
const tryPeriodMs = 10_000;
const tryTimeoutMs = 3000;
/** Nobody has asked about it for so long: it is not watched any more. */
const watchedMs = 5 * 60_000;
const circlesMax = 64;

interface Watched {
  readonly id: NodeId;
  awayMs: number;
  evicted: boolean;
  /** When it was named last; whether by somebody who asked; and when it was tried, because the overlay knows nothing of it. */
  namedAt: number;
  asked: boolean;
  triedAt: number;
  unreachable: boolean;
}

interface Circle {
  readonly records: ReadonlyMap<string, NodeRecord>;
  readonly entries: readonly Entry[];
  readonly placed: Map<string, NodeRecord[]>;
}

export class AbsenceMeter implements Absence, Startable {
  readonly events = new Events<{ evicted: NodeId; returned: NodeId; back: undefined }>();
  private readonly options: AbsenceOptions;
  private readonly watched = new Map<string, Watched>();
  private readonly circles = new Map<string, Circle>();
  /** Evicted before the last start, not heard of since. */
  private readonly gone = new Map<string, NodeId>();
  private lastStep = 0;
  private wasInContact = true;
  private cancel: Cancel = () => {};
  private stopped = true;

  constructor(options: AbsenceOptions) {
    this.options = options;
  }

  async start(): Promise<void> {
    const { book } = this.options;
    for (const id of await book.loadEvicted()) this.gone.set(toHex(id), id);
    for (const { id } of await book.load()) this.watch(id);
    this.stopped = false;
    this.lastStep = this.now;
    this.schedule();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.cancel();
  }

  awayMs(node: NodeId): number {
    if (this.isHeard(node)) return 0;
    const known = this.watch(node);
    known.namedAt = this.now;
    known.asked = true;
    return known.awayMs;
  }

  isEvicted(node: NodeId): boolean {
    return this.awayMs(node) > 0 && this.watch(node).evicted;
  }

  away(): readonly NodeRecord[] {
    const { overlay } = this.options;
    const absent = [...this.watched.values()].filter(({ id, evicted }) => !evicted && !this.isHeard(id));
    return absent.flatMap(({ id }) => overlay.record(id) ?? []);
  }

  async holders(
    address: Address,
    count: number,
    options: Abortable & { all?: boolean; closed?: boolean } = {},
  ): Promise<NodeRecord[]> {
    const { overlay } = this.options;
    // As many as any list shows: those away are placed among them wherever they stand.
    const wanted = Math.max(count, limits.successorNodes);
    const live = await overlay.owners(address, wanted, { ...options, all: true });
    const circle = this.circleOf([...live, ...this.away()]);
    const owner = ownerIndex(circle.entries, pointOf(address));
    const name = `${owner} ${count} ${options.all === true} ${options.closed === true}`;
    let placed = circle.placed.get(name);
    if (placed === undefined) {
      const walk = [...circle.entries.slice(owner), ...circle.entries.slice(0, owner)];
      const recordOf = (node: string) => {
        const record = circle.records.get(node);
        return options.closed && record?.leaving ? undefined : record;
      };
      placed = replicas(walk, count, recordOf, options.all || options.closed);
      circle.placed.set(name, placed);
    }
    return [...placed];
  }

  /** Few different sets of nodes are placed on: each circle is computed once. */
  private circleOf(nodes: readonly NodeRecord[]): Circle {
    const records = new Map(nodes.map((record) => [toHex(record.id), record]));
    const name = [...records]
      .map(([id, { serial }]) => `${id} ${serial}`)
      .sort()
      .join();
    let circle = this.circles.get(name);
    if (circle === undefined) {
      const oldest = this.circles.keys().next();
      if (this.circles.size >= circlesMax && !oldest.done) this.circles.delete(oldest.value);
      circle = { records, entries: circleOf(records.values()), placed: new Map() };
      this.circles.set(name, circle);
    }
    return circle;
  }

  private get now(): number {
    return this.options.runtime.clock.monotonic();
  }

  private isHeard(node: NodeId): boolean {
    return toHex(node) === toHex(this.options.self) || this.options.overlay.liveness(node) === 'alive';
  }

  private watch(id: NodeId): Watched {
    const name = toHex(id);
    const known = this.watched.get(name);
    if (known) return known;
    if (this.watched.size >= limits.nodeRecordsMax) this.watched.delete(this.watched.keys().next().value as string);
    const fresh = {
      id,
      awayMs: 0,
      evicted: false,
      namedAt: this.now,
      asked: false,
      triedAt: this.now,
      unreachable: false,
    };
    this.watched.set(name, fresh);
    return fresh;
  }

  private schedule(): void {
    if (this.stopped) return;
    this.cancel = this.options.runtime.clock.after(stepMs, () => {
      this.step();
      this.schedule();
    });
  }

  private step(): void {
    const { overlay, self } = this.options;
    const passedMs = this.now - this.lastStep;
    const spentMs = Math.min(stepMaxMs, Math.max(0, passedMs));
    this.lastStep = this.now;
    for (const { id } of overlay.nodes()) if (toHex(id) !== toHex(self)) this.watch(id);
    const inContact = this.inContact();
    const isBack = inContact && (!this.wasInContact || passedMs > pausedMs);
    this.wasInContact = inContact;
    if (isBack) this.events.emit('back', undefined);
    for (const [name, known] of this.watched) {
      const liveness = overlay.liveness(known.id);
      if (liveness === 'alive') this.heardOf(known);
      else if (liveness === 'unknown' && this.now - known.namedAt > watchedMs) this.watched.delete(name);
      else if (inContact && (liveness === 'dead' || this.isUnreachable(known, liveness === 'unknown')))
        this.absent(known, spentMs);
    }
  }

  /** With more than half of those of whom anything is known. */
  private inContact(): boolean {
    let [alive, lost] = [1, 0];
    for (const [name, { id, evicted }] of this.watched) {
      const liveness = this.options.overlay.liveness(id);
      if (liveness === 'alive') alive++;
      else if (liveness !== 'unknown' && !evicted && !this.gone.has(name) && !this.hasLeft(id)) lost++;
    }
    return alive > lost;
  }

  /** Said goodbye for good: nobody waits for it. */
  private hasLeft(node: NodeId): boolean {
    return this.options.overlay.record(node)?.leaving === true;
  }

  private absent(known: Watched, spentMs: number): void {
    known.awayMs += spentMs;
    if (known.evicted || known.awayMs <= this.options.delayMs()) return;
    known.evicted = true;
    this.gone.set(toHex(known.id), known.id);
    this.save();
    const facts = { node: toHex(known.id).slice(0, 16), awayMs: Math.round(known.awayMs) };
    this.options.runtime.log.write('info', 'store', 'a node has been away for longer than the eviction delay', facts);
    this.events.emit('evicted', known.id);
  }

  private heardOf(known: Watched): void {
    const was = known.evicted;
    Object.assign(known, { awayMs: 0, evicted: false, unreachable: false });
    if (this.gone.delete(toHex(known.id))) this.save();
    if (was) this.events.emit('returned', known.id);
  }

  /** Whether a node the overlay knows nothing of, but somebody asks about, could not be reached. */
  private isUnreachable(known: Watched, isUnknown: boolean): boolean {
    if (!isUnknown || !known.asked) return false;
    if (this.now - known.triedAt >= tryPeriodMs) {
      known.triedAt = this.now;
      void this.tryToReach(known);
    }
    return known.unreachable;
  }

  private async tryToReach(known: Watched): Promise<void> {
    const abort = new AbortController();
    const cancel = this.options.runtime.clock.after(tryTimeoutMs, () => abort.abort());
    try {
      await this.options.overlay.peer(known.id, { signal: abort.signal });
      this.heardOf(known);
    } catch {
      known.unreachable = true; // whatever the reason: data is only moved by agreement, and nothing is ever deleted for this
    } finally {
      cancel();
    }
  }

  private save(): void {
    const nodes = [...this.gone.values()].slice(-limits.knownContactsMax);
    this.options.book.saveEvicted(nodes).catch(() => {}); // asked again by what is heard; it only ever makes healing possible
  }
}
