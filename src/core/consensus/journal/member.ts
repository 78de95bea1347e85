// One journal at one member: the rules of docs/protocols.md 4.2 and 4.3 without disk and network. Each call changes the state
// in memory and says what must be durable before its answer may leave, together with everything asked for earlier.

import { type Bytes, equalBytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { JournalSegment, RootHeader } from '../consensus.ts';
import { nextChain, type Position, verifyChain } from './chain.ts';
import type { AppendRequest, JournalAnswer, SignedBatch, SkipRequest, Tail } from './messages.ts';

/** A segment as it is kept: what was dropped from its front, and the batches behind that. */
export interface MemberSegment {
  readonly id: number;
  readonly epoch: number;
  readonly start: number;
  readonly author: Bytes;
  base: Position;
  readonly batches: HeldBatch[];
}

export interface HeldBatch extends Position {
  first: number;
}

/** What must be made durable; `meta` is fence, segments and their bases. */
export type JournalChange =
  | { type: 'meta' }
  | { type: 'append'; segment: MemberSegment; batch: SignedBatch; chain: Bytes }
  | { type: 'drop'; segment: number; batches: readonly HeldBatch[] };

export interface MemberStep {
  answer: JournalAnswer;
  changes: JournalChange[];
}

export interface Grant {
  epoch: number;
  /** On this member's monotonic clock. */
  until: number;
}

/** A signed root, verified, and the listed segments this member belongs to. */
export interface VerifiedRoot {
  header: RootHeader;
  author: Bytes;
  /** Version of the access list it was written under. */
  access: number;
  mine: readonly JournalSegment[];
}

/** Users that are still told by whom they were overtaken. */
const fencersMax = 8;

export class MemberJournal {
  /** Highest epoch seen under that access list: never lowered (L7), but for a later list. */
  fence: number;
  /** Version of the latest access list seen: roots of earlier ones count no more, whatever epoch they name. */
  access: number;
  grant: Grant;
  /** Writers of the roots that raised the fence, the last one first; unknown after a restart. */
  private fencers: Bytes[] = [];
  readonly segments: Map<number, MemberSegment>;
  private readonly startOf: (segment: JournalSegment) => Position;

  /** `grant` of a journal met again after a restart: whatever was promised before, until it has surely ended. */
  constructor(
    startOf: (segment: JournalSegment) => Position,
    fence = 0,
    segments: readonly MemberSegment[] = [],
    grant: Grant = { epoch: 0, until: 0 },
    access = 0,
  ) {
    this.startOf = startOf;
    this.fence = fence;
    this.access = access;
    this.segments = new Map(segments.map((segment) => [segment.id, segment]));
    this.grant = grant;
  }

  open(root: VerifiedRoot, id: number, now: number): MemberStep {
    const listed = root.mine.find((segment) => segment.id === id);
    if (!listed) throw new InfinitError('denied', 'the root does not list this store in that segment');
    if (listed.epoch !== root.header.epoch)
      throw new InfinitError('usage', 'a segment is opened in its own epoch only');
    const outranked = this.admit(root);
    if (listed.epoch < this.fence) return this.fenced(outranked);
    const changes = [...outranked, ...this.dropUnlisted(root.header)];
    const known = this.segments.get(id);
    if (known && (known.epoch !== listed.epoch || known.start !== listed.start))
      throw new InfinitError('corrupt', 'another segment of that number is open');
    if (!known && this.segments.size >= limits.journalSegmentsKeptMax)
      throw new InfinitError('full', 'too many segments of one journal');
    if (outranked.length === 0 && (!known || this.fence < listed.epoch)) changes.push({ type: 'meta' });
    this.fence = listed.epoch;
    this.noteFencer(root.author);
    const segment = known ?? {
      id,
      epoch: listed.epoch,
      start: listed.start,
      author: root.author,
      base: this.startOf(listed),
      batches: [],
    };
    this.segments.set(id, segment);
    this.promise(listed.epoch, now);
    return { answer: { type: 'ok', last: tailOf(segment).last }, changes };
  }

  append({ segment: id, epoch, batch }: AppendRequest, user: Bytes, now: number): MemberStep {
    const found = this.writable(id, epoch, user);
    if ('type' in found) return { answer: found, changes: [] };
    const tail = tailOf(found);
    if (batch.last < batch.first) throw new InfinitError('corrupt', 'a journal batch ends before it begins');
    if (batch.first <= tail.last) {
      // Not what is here: an answer would acknowledge records of one writer with those of another.
      if (!holds(found, batch)) return this.fenced();
      this.promise(epoch, now);
      return { answer: { type: 'ok', last: tail.last }, changes: [] };
    }
    if (batch.first !== tail.last + 1) return { answer: { type: 'gap', last: tail.last }, changes: [] };
    if (!equalBytes(batch.previous, tail.chain))
      throw new InfinitError('corrupt', 'a journal batch does not fit its chain');
    const chain = nextChain(tail.chain, batch);
    if (!verifyChain(found.author, chain, batch.signature))
      throw new InfinitError('denied', 'a journal batch is not signed by its writer');
    found.batches.push({ first: batch.first, last: batch.last, chain });
    this.promise(epoch, now);
    return { answer: { type: 'ok', last: batch.last }, changes: [{ type: 'append', segment: found, batch, chain }] };
  }

  /** T3: nothing of a lower epoch is taken from here on; not before the grants to lower epochs have ended. */
  fenceAt(root: VerifiedRoot, now: number): MemberStep {
    const { epoch } = root.header;
    const changes = this.admit(root);
    if (epoch < this.fence) return this.fenced(changes);
    const running = Math.ceil(this.grant.until - now);
    if (this.grant.epoch < epoch && running > 0) return { answer: { type: 'wait', ms: running }, changes };
    if (this.fence < epoch) changes.push({ type: 'meta' });
    this.fence = epoch;
    this.noteFencer(root.author);
    const tails: Tail[] = root.mine.map((listed) => {
      const segment = this.segments.get(listed.id);
      const author = segment?.author ?? root.author;
      return { segment: listed.id, author, ...(segment ? positionOf(segment) : this.startOf(listed)) };
    });
    return { answer: { type: 'tails', tails }, changes };
  }

  /** Whether what is held may be shown to that user as leader of that epoch: only behind his own fence (Y1). */
  mayRead(epoch: number, user: Bytes): JournalAnswer | undefined {
    const place = this.fencers.findIndex((fencer) => equalBytes(fencer, user));
    if (this.fencers.length === 0) throw new InfinitError('unavailable', 'this node has restarted: fence it again');
    if (place < 0) throw new InfinitError('denied', 'another user fences this journal');
    if (epoch < this.fence || (epoch === this.fence && place > 0)) return { type: 'fenced', epoch: this.fence };
    if (epoch > this.fence) throw new InfinitError('denied', 'a journal is read behind a fence only');
    return undefined;
  }

  private noteFencer(user: Bytes): void {
    this.fencers = [user, ...this.fencers.filter((other) => !equalBytes(other, user))].slice(0, fencersMax);
  }

  trim(root: VerifiedRoot): MemberStep {
    const { header } = root;
    const outranked = this.admit(root);
    if (header.epoch < this.fence) return this.fenced(outranked);
    const changes = [...outranked, ...this.dropUnlisted(header)];
    for (const segment of this.segments.values()) {
      const keep = segment.batches.findIndex(({ last }) => last > header.applied);
      const dropped = segment.batches.splice(0, keep < 0 ? segment.batches.length : keep);
      const last = dropped.at(-1);
      if (!last) continue;
      segment.base = { last: last.last, chain: last.chain };
      changes.push({ type: 'drop', segment: segment.id, batches: dropped });
    }
    if (changes.length > 0) changes.unshift({ type: 'meta' });
    return { answer: { type: 'ok', last: header.applied }, changes };
  }

  /** By a root known to be chosen: what it does not list goes, the fence stays (L7). Nobody shows it, so no grant is asked for. */
  tidy(root: VerifiedRoot): MemberStep {
    const { header } = root;
    const changes = root.access < this.access ? [] : this.admit(root);
    if (header.epoch >= this.fence) changes.push(...this.dropUnlisted(header));
    if (changes.length > 0) changes.unshift({ type: 'meta' });
    return { answer: { type: 'ok', last: header.applied }, changes };
  }

  hold(id: number, epoch: number, user: Bytes, now: number): MemberStep {
    const found = this.writable(id, epoch, user);
    if ('type' in found) return { answer: found, changes: [] };
    this.promise(epoch, now);
    return { answer: { type: 'ok', last: tailOf(found).last }, changes: [] };
  }

  release(id: number, epoch: number, user: Bytes): MemberStep {
    const found = this.writable(id, epoch, user);
    if ('type' in found) return { answer: found, changes: [] };
    if (this.grant.epoch === epoch) this.grant = { epoch, until: 0 };
    return { answer: { type: 'ok', last: tailOf(found).last }, changes: [] };
  }

  /** What the root contains need not be held: goes on behind it. */
  skip({ segment: id, through, chain, signature }: SkipRequest, root: VerifiedRoot, user: Bytes): MemberStep {
    const { header } = root;
    const outranked = this.admit(root);
    const found = this.writable(id, header.epoch, user);
    if ('type' in found) return { answer: found, changes: outranked };
    const tail = tailOf(found);
    if (through <= tail.last) return { answer: { type: 'ok', last: tail.last }, changes: outranked };
    if (through > header.applied) throw new InfinitError('denied', 'only what the root contains can be skipped');
    if (!verifyChain(found.author, chain, signature))
      throw new InfinitError('denied', 'the place to skip to is not signed by the writer');
    const batches = found.batches.splice(0);
    found.base = { last: through, chain };
    return {
      answer: { type: 'ok', last: through },
      changes: [...outranked, { type: 'meta' }, { type: 'drop', segment: id, batches }],
    };
  }

  private fenced(changes: JournalChange[] = []): MemberStep {
    return { answer: { type: 'fenced', epoch: this.fence }, changes };
  }

  /**
   * Who wrote under an earlier access list than one seen may write no more: `denied`. The first root of a later list outranks what
   * was fenced and opened under earlier ones in epochs above its own: the register never had those.
   */
  private admit({ access, header: { epoch } }: VerifiedRoot): JournalChange[] {
    if (access < this.access) throw new InfinitError('denied', 'a later access list of this tree is known');
    if (access === this.access) return [];
    this.access = access;
    const changes: JournalChange[] = [{ type: 'meta' }];
    for (const segment of [...this.segments.values()]) {
      if (segment.epoch <= epoch) continue;
      this.segments.delete(segment.id);
      changes.push({ type: 'drop', segment: segment.id, batches: segment.batches });
    }
    this.fence = Math.min(this.fence, epoch);
    if (this.grant.epoch > epoch) this.grant = { ...this.grant, epoch };
    return changes;
  }

  /** The open segment a writer of that epoch may change, or what to tell him. */
  private writable(id: number, epoch: number, user: Bytes): MemberSegment | JournalAnswer {
    if (epoch < this.fence) return { type: 'fenced', epoch: this.fence };
    const segment = this.segments.get(id);
    if (!segment || segment.epoch !== epoch) return { type: 'closed' };
    if (!equalBytes(segment.author, user)) throw new InfinitError('denied', 'another user writes this journal');
    return segment;
  }

  /** 4.2: no fence of a higher epoch is obeyed for L from now. */
  private promise(epoch: number, now: number): void {
    if (epoch >= this.grant.epoch) this.grant = { epoch, until: Math.max(now + limits.grantMs, this.sameGrant(epoch)) };
  }

  private sameGrant(epoch: number): number {
    return this.grant.epoch === epoch ? this.grant.until : 0;
  }

  /** Segments a served root does not list any more hold nothing that is not in it; newer ones are left alone. */
  private dropUnlisted({ state, epoch, applied, segments }: RootHeader): JournalChange[] {
    const changes: JournalChange[] = [];
    if (state === 'recovering') return changes;
    for (const segment of [...this.segments.values()]) {
      if (segments.some(({ id }) => id === segment.id)) continue;
      if (segment.epoch > epoch || (segment.epoch === epoch && tailOf(segment).last > applied)) continue;
      this.segments.delete(segment.id);
      changes.push({ type: 'drop', segment: segment.id, batches: segment.batches });
    }
    return changes;
  }
}

export function tailOf({ base, batches }: MemberSegment): Position {
  return batches.at(-1) ?? base;
}

/** What was dropped from the front is taken for it: the root contains that place. */
function holds({ base, batches }: MemberSegment, batch: SignedBatch): boolean {
  if (batch.last < base.last) return true;
  const held = batch.last === base.last ? base : batches.findLast(({ last }) => last === batch.last);
  return held !== undefined && equalBytes(held.chain, nextChain(batch.previous, batch));
}

function positionOf(segment: MemberSegment): Position {
  const { last, chain } = tailOf(segment);
  return { last, chain };
}
