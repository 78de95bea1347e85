// Trees judged from outside: L1 to L5, L8 over chosen roots, acknowledged journal batches, executed operations and answers.

import { type Bytes, toHex } from '../../../src/core/base/bytes.ts';
import { decode } from '../../../src/core/base/codec.ts';
import type { JournalBatch, RootHeader } from '../../../src/core/consensus/consensus.ts';
import { rootHeader } from '../../../src/core/consensus/consensus.ts';
import type { Entry } from '../../../src/core/consensus/register/messages.ts';
import type { ExecuteOptions, Ran } from '../../../src/core/tree/leadership.ts';
import type { OperationRequest, Outcome } from '../../../src/core/tree/messages.ts';
import type { Effect } from '../../../src/core/tree/tree.ts';
import type { Coverage } from './coverage.ts';
import { digestOf, type Led } from './probes.ts';
import type { Report } from './rules.ts';

interface Batch {
  epoch: number;
  first: number;
  last: number;
  digest: string;
}

interface Execution {
  epoch: number;
  sequence: number;
  operation: string;
}

interface Watched {
  /** Epochs whose active root is chosen, with what it contained. */
  active: Map<number, number>;
  /** Acknowledged, in the order told. */
  batches: Batch[];
  /** Of epochs that are not over: whether they last is decided by the next active root. */
  pending: Execution[];
  /** Operations that have taken effect for good. */
  lasting: Set<string>;
  /** Hosts that led, with their last epoch. */
  ledBy: Map<string, number>;
  /** The highest epoch that answered anything. */
  answeredEpoch: number;
}

export interface TreeCheckerOptions {
  report: Report;
  coverage: Coverage;
  /** Clocks are further off than the protocol allows: local reads may be stale. */
  staleReads: boolean;
}

export class TreeChecker {
  private readonly options: TreeCheckerOptions;
  private readonly trees = new Map<string, Watched>();
  /** Ids of trees there are, in hex: tells roots from other registers. */
  private readonly ids = new Set<string>();

  constructor(options: TreeCheckerOptions) {
    this.options = options;
  }

  expect(treeId: string): void {
    this.ids.add(treeId);
  }

  get addresses(): string[] {
    return [...this.trees.keys()];
  }

  /** The root header an entry holds, when it is one of a tree's root. */
  headerOf(entry: Entry): RootHeader | undefined {
    const { deleted, payload } = entry.image.state.value;
    if (deleted || payload.length < 20 || !this.ids.has(toHex(payload.subarray(1, 17)))) return undefined;
    return decode(rootHeader, payload);
  }

  /** A root is chosen; neighbours by ballot. */
  chosen(tree: string, entry: Entry, before: Entry | undefined, after: Entry | undefined): void {
    const header = this.headerOf(entry);
    if (!header) return;
    const watched = this.of(tree);
    const previous = before && this.headerOf(before);
    if (previous) this.ordered(tree, previous, header);
    const next = after && this.headerOf(after);
    if (next) this.ordered(tree, header, next);
    this.cover(previous, header);
    if (header.state === 'recovering' || watched.active.has(header.epoch)) return;
    watched.active.set(header.epoch, header.applied);
    this.activated(tree, watched, header);
  }

  private ordered(tree: string, before: RootHeader, after: RootHeader): void {
    const went = (what: string, from: number, to: number) =>
      this.options.report('L5', `${what} of ${tree.slice(0, 12)} went from ${from} to ${to}`);
    if (after.epoch < before.epoch) went('the epoch', before.epoch, after.epoch);
    if (after.applied < before.applied) went('applied', before.applied, after.applied);
    if (after.gcGeneration < before.gcGeneration) went('the generation', before.gcGeneration, after.gcGeneration);
  }

  private cover(before: RootHeader | undefined, { state, epoch, segments, applied, gcGeneration }: RootHeader): void {
    const { coverage } = this.options;
    const reach = (what: string) => coverage.reach(`tree/${what}`);
    reach(`${state} chosen`);
    if (epoch > 5) reach('epochs above 5');
    if (segments.length > 1) reach('two segments');
    if (before && gcGeneration > before.gcGeneration) coverage.reach('garbage/generation chosen');
    if (before && before.epoch === epoch && segments.length > before.segments.length) reach('ensemble change');
    if (before && before.epoch === epoch && applied > before.applied && state === 'active') reach('commit');
    if (before?.state === 'idle' && state === 'active') reach('takeover from idle');
    if (before && before.state !== 'idle' && state === 'recovering') reach('takeover by force');
    if (before?.state === 'recovering' && state === 'active' && applied > before.applied) reach('journal replayed');
  }

  /** L1: what earlier epochs acknowledged is contained. L3: what they executed lasts, or never will. */
  private activated(tree: string, watched: Watched, { epoch, applied }: RootHeader): void {
    for (const batch of watched.batches)
      if (batch.epoch < epoch && batch.last > applied)
        this.options.report(
          'L1',
          `${tree.slice(0, 12)}: records to ${batch.last}, acknowledged in epoch ${batch.epoch}, are not in epoch ${epoch}, which begins behind ${applied}`,
        );
    const over = watched.pending.filter((one) => one.epoch < epoch);
    watched.pending = watched.pending.filter((one) => one.epoch >= epoch);
    for (const one of over) if (one.sequence <= applied) this.lasts(tree, watched, one);
    watched.batches = watched.batches.filter((batch) => batch.last > applied);
  }

  private lasts(tree: string, watched: Watched, { operation, sequence }: Execution): void {
    if (watched.lasting.has(operation))
      this.options.report('L3', `${tree.slice(0, 12)}: operation ${operation} took effect again at ${sequence}`);
    watched.lasting.add(operation);
  }

  appended({ tree, epoch }: Led, { first, last, data }: JournalBatch): void {
    const watched = this.of(tree);
    for (const [later, applied] of watched.active)
      if (later > epoch && applied < last)
        this.options.report(
          'L2',
          `${tree.slice(0, 12)}: epoch ${epoch} acknowledged ${last} after epoch ${later} began behind ${applied}`,
        );
    watched.batches.push({ epoch, first, last, digest: digestOf(data) });
  }

  /** Whether somebody leads the tree in an epoch after that one. */
  isDeposed(tree: string, epoch: number): boolean {
    return [...this.of(tree).active.keys()].some((later) => later > epoch);
  }

  /** The epoch of a client's last leadership of a tree, by the host it led from. */
  epochOf(tree: string, host: string): number | undefined {
    return this.of(tree).ledBy.get(host);
  }

  /** T4: a candidate has read the journal above `root`. */
  recovered(tree: string, root: RootHeader, batches: readonly JournalBatch[]): void {
    const found = new Set(batches.map(({ first, last, data }) => `${first} ${last} ${digestOf(data)}`));
    for (const { epoch, first, last, digest } of this.of(tree).batches)
      if (epoch < root.epoch && last > root.applied && !found.has(`${first} ${last} ${digest}`))
        this.options.report(
          'L1',
          `${tree.slice(0, 12)}: the recovery for epoch ${root.epoch} misses records ${first} to ${last} of epoch ${epoch}`,
        );
  }

  executed(
    { tree, epoch }: Led,
    request: OperationRequest,
    { durable }: ExecuteOptions,
    ran: Ran,
    effects: readonly Effect[],
  ): void {
    const { coverage } = this.options;
    const watched = this.of(tree);
    if (!durable) coverage.reach('tree/volatile operation');
    if (ran.outcome.type === 'expired') coverage.reach('tree/session expired');
    if (ran.outcome.type !== 'done') return;
    if (ran.effects === undefined) {
      if (!ran.read) coverage.reach('tree/retry answered');
      return;
    }
    if ([...watched.active.keys()].some((later) => later > epoch)) {
      coverage.reach('tree/deposed leader executes');
      return;
    }
    if (!durable || ran.effects.length === 0) return;
    // At most once across leaders: the answer is journalled with what it answers.
    if (!effects.some((effect) => effect.type === 'put' && isAnswerTo(request, effect.key)))
      this.options.report('L3', `epoch ${epoch} of ${tree.slice(0, 12)} executes without recording the answer`);
    const operation = `${toHex(request.client)}/${request.opSeq}`;
    watched.pending.push({ epoch, sequence: ran.outcome.sequence, operation });
  }

  answered({ tree, epoch, life }: Led, kind: 'operation' | 'query', outcome: Outcome): void {
    this.options.coverage.reach(`answer/tree ${outcome.type}`);
    if (outcome.type !== 'done') return;
    const watched = this.of(tree);
    watched.ledBy.set(life.host.name, epoch);
    if (!watched.active.has(epoch))
      this.options.report(
        'L8',
        `${life.host.name} answered in epoch ${epoch} of ${tree.slice(0, 12)} before it was active`,
      );
    if (kind === 'query' && epoch < watched.answeredEpoch && !this.options.staleReads)
      this.options.report(
        'L4',
        `${life.host.name} answered a read in epoch ${epoch} of ${tree.slice(0, 12)} after epoch ${watched.answeredEpoch} had answered`,
      );
    watched.answeredEpoch = Math.max(watched.answeredEpoch, epoch);
  }

  private of(tree: string): Watched {
    const known = this.trees.get(tree) ?? {
      active: new Map(),
      batches: [],
      pending: [],
      lasting: new Set<string>(),
      ledBy: new Map(),
      answeredEpoch: 0,
    };
    this.trees.set(tree, known);
    return known;
  }
}

/** `s`, client 16, opSeq 8 (docs/tree-schema.md 3). */
function isAnswerTo({ client, opSeq }: OperationRequest, key: Bytes): boolean {
  const bytes = Buffer.from(key);
  return (
    bytes[0] === 0x73 &&
    bytes.length === 25 &&
    bytes.subarray(1, 17).equals(client) &&
    Number(bytes.readBigUInt64BE(17)) === opSeq
  );
}
