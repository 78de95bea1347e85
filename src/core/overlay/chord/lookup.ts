// Iterative lookup (protocols 1.6): the caller sees every hop. One question is in flight; when the one asked takes longer than
// such nodes usually do, the next best is asked as well, three at most.

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
}

export interface Found extends Location {
  /** Questions asked. */
  hops: number;
  /** Who answered. */
  by: NodeName;
}

const inFlightMax = 3;

/** Finds the owner of the key, starting from any entries. Throws `unavailable` when nobody leads there. */
export function lookup(
  parts: LookupParts,
  key: Point,
  start: readonly Entry[],
  options: Abortable = {},
): Promise<Found> {
  const { promise, resolve, reject } = deferred<Found>();
  const stop = new AbortController();
  const asked = new Set<NodeName>();
  const candidates = new Map<Point, Entry>(start.map((entry) => [entry.point, entry]));
  let inFlight = 0;
  let over = false;

  const finish = (settle: () => void) => {
    if (over) return;
    over = true;
    options.signal?.removeEventListener('abort', abort);
    settle();
    stop.abort(new InfinitError('cancelled', 'the lookup is over'));
  };
  const abort = () => finish(() => reject(cancelled(options.signal)));
  /** The unasked candidate nearest before the key. */
  const nearest = () => {
    let best: Entry | undefined;
    for (const entry of candidates.values()) {
      if (asked.has(entry.node)) candidates.delete(entry.point);
      else if (!best || best.point === key || (entry.point !== key && between(best.point, entry.point, key)))
        best = entry;
    }
    return best;
  };
  const proceed = () => {
    if (over) return;
    const next = asked.size < limits.lookupHopsMax ? nearest() : undefined;
    if (next) void visit(next.node);
    else if (inFlight === 0) finish(() => reject(new InfinitError('unavailable', 'no node leads to the address')));
  };
  const visit = async (node: NodeName) => {
    asked.add(node);
    inFlight++;
    const hedge = parts.clock.after(parts.hedgeAfterMs(node), () => {
      if (inFlight < inFlightMax) proceed();
    });
    const answer = await parts.ask(node, key, stop.signal).catch(() => undefined);
    hedge();
    inFlight--;
    if (answer?.type === 'owners') {
      const { after, entries } = answer;
      finish(() => resolve({ after, entries, hops: asked.size, by: node }));
      return;
    }
    for (const entry of answer?.entries ?? []) candidates.set(entry.point, entry);
    proceed();
  };

  options.signal?.addEventListener('abort', abort);
  if (options.signal?.aborted) abort();
  else proceed();
  return promise;
}
