// Iterative lookup (protocols 1.6): the caller sees every hop. One question is in flight; when the one asked takes longer than
// such nodes usually do, the next best is asked as well, three at most. When all between the nearest that answered and the key
// keep silent, its list names the owner.

import { InfinitError } from '../../base/errors.ts';
import { type Abortable, cancelled, deferred } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Clock } from '../../runtime/runtime.ts';
import { between, type Entry, type NodeName, type Point } from '../ring.ts';
import type { FindAnswer } from './answers.ts';
import type { Location } from './locations.ts';

export interface LookupParts {
  clock: Pick<Clock, 'after'>;
  /** Throws when the node does not answer; undefined when it is not on the ring. */
  ask: (node: NodeName, key: Point, signal: AbortSignal) => Promise<FindAnswer | undefined>;
  /** How long to wait for the node before asking another one as well. */
  hedgeAfterMs: (node: NodeName) => number;
  /** The node has not answered by then, or not at all. */
  slow: (node: NodeName) => void;
}

export interface Found extends Location {
  /** Questions asked. */
  hops: number;
  /** Who answered; undefined when it was known here. */
  by: NodeName | undefined;
}

/** What is known where the lookup starts. */
export type Start = Pick<Extract<FindAnswer, { type: 'closer' }>, 'entries' | 'behind'>;

/** What is said to follow the key by the nearest to it that answered. */
interface Resort extends Location {
  readonly by: Entry | undefined;
}

const inFlightMax = 3;

/** Finds the owner of the key, starting from any entries. Throws `unavailable` when nobody leads there. */
export function lookup(parts: LookupParts, key: Point, start: Start, options: Abortable = {}): Promise<Found> {
  const { promise, resolve, reject } = deferred<Found>();
  const stop = new AbortController();
  const asked = new Set<NodeName>();
  const candidates = new Map<Point, Entry>(start.entries.map((entry) => [entry.point, entry]));
  let resort = resortOf(start, undefined);
  let inFlight = 0;
  /** Asked and neither answered nor slow. */
  let prompt = 0;
  let over = false;

  const finish = (settle: () => void) => {
    if (over) return;
    over = true;
    options.signal?.removeEventListener('abort', abort);
    settle();
    stop.abort(new InfinitError('cancelled', 'the lookup is over'));
  };
  const found = ({ after, entries }: Location, by: NodeName | undefined) =>
    finish(() => resolve({ after, entries, hops: asked.size, by }));
  const abort = () => finish(() => reject(cancelled(options.signal)));
  const proceed = () => {
    if (over) return;
    const next = asked.size < limits.lookupHopsMax ? nearest(candidates, asked, key) : undefined;
    const nearer = next && (!resort?.by || between(resort.by.point, next.point, key));
    if (nearer && inFlight < inFlightMax) void visit(next);
    else if (resort && prompt === 0) found(resort, resort.by?.node);
    else if (inFlight === 0) finish(() => reject(new InfinitError('unavailable', 'no node leads to the address')));
  };
  const visit = async (entry: Entry) => {
    const { node } = entry;
    asked.add(node);
    inFlight++;
    prompt++;
    let late = () => {
      late = () => {};
      prompt--;
    };
    const hedge = parts.clock.after(parts.hedgeAfterMs(node), () => {
      late();
      parts.slow(node);
      proceed();
    });
    const answer = await parts.ask(node, key, stop.signal).catch(() => {
      if (!over) parts.slow(node);
      return undefined;
    });
    hedge();
    late();
    inFlight--;
    if (answer?.type === 'owners') {
      found(answer, node);
      return;
    }
    for (const each of answer?.entries ?? []) candidates.set(each.point, each);
    if (answer && (!resort?.by || between(resort.by.point, entry.point, key)))
      resort = resortOf(answer, entry) ?? resort;
    proceed();
  };

  options.signal?.addEventListener('abort', abort);
  if (options.signal?.aborted) abort();
  else proceed();
  return promise;
}

/** The candidate nearest before the key whose node was not asked; those of nodes asked are dropped. */
function nearest(candidates: Map<Point, Entry>, asked: ReadonlySet<NodeName>, key: Point): Entry | undefined {
  let best: Entry | undefined;
  for (const entry of candidates.values()) {
    if (asked.has(entry.node)) candidates.delete(entry.point);
    else if (!best || best.point === key || (entry.point !== key && between(best.point, entry.point, key)))
      best = entry;
  }
  return best;
}

function resortOf({ entries, behind }: Start, by: Entry | undefined): Resort | undefined {
  const after = entries[0];
  return after && behind.length > 0 ? { after, entries: behind, by } : undefined;
}
