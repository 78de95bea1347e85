// Leaving the network for good: what `network drain` asks of the running node, and what `--resign-on-shutdown` does at its end.

import { asError, InfinitError, isError } from '../base/errors.ts';
import type { Acting, DrainFacts } from '../cli/running.ts';
import type { Drain } from '../store/drain.ts';
import type { Node } from './node.ts';

/** A shutdown does not wait longer for others to take over what is here. */
const resignLimitMs = 5 * 60_000;
const resignTellMs = 10_000;
/** Who waits for a drain looks so often. */
export const drainLookMs = 500;

const actions = ['start', 'status', 'cancel', 'finish'] as const;
type Action = (typeof actions)[number];

export class Draining {
  private readonly drain: Drain;
  private readonly ended = new AbortController();
  private running: AbortController | undefined;
  private failure: string | undefined;

  constructor(drain: Drain) {
    this.drain = drain;
  }

  /** Fires when the node is drained and the process is to end. */
  get left(): AbortSignal {
    return this.ended.signal;
  }

  /** The process ends: a drain that goes on is given up, one that is done stays done. */
  giveUp(): void {
    if (this.drain.status().state !== 'drained') this.cancel();
  }

  /** Answers what `network drain` asks. */
  async act(action: unknown): Promise<DrainFacts> {
    if (!actions.includes(action as Action)) throw new InfinitError('usage', `known actions: ${actions.join(', ')}`);
    if (action === 'start') this.start();
    // What cannot begin says why at once.
    if (action === 'start') await new Promise((resolve) => setImmediate(resolve));
    if (action === 'cancel') this.cancel();
    if (action === 'finish') {
      if (this.drain.status().state !== 'drained') throw new InfinitError('conflict', 'the node is not drained');
      this.ended.abort();
    }
    return this.facts();
  }

  private start(): void {
    if (this.running !== undefined) return;
    const abort = new AbortController();
    this.running = abort;
    this.failure = undefined;
    this.drain.run(abort.signal).catch((cause: unknown) => {
      this.running = undefined;
      if (!isError(cause, 'cancelled')) this.failure = asError(cause).message;
    });
  }

  private cancel(): void {
    if (this.drain.status().state === 'drained') this.drain.takeBack();
    this.running?.abort();
    this.running = undefined;
  }

  private facts(): DrainFacts {
    return { ...this.drain.status(), ...(this.failure === undefined ? {} : { error: this.failure }) };
  }
}

/** How a running node that was asked to drain ends up; throws `unavailable` when others do not take over what it keeps. */
export async function drainedFacts(
  started: DrainFacts,
  status: () => Promise<DrainFacts>,
  options: Pick<Acting, 'context' | 'signal'> & { progress?(facts: DrainFacts): void },
): Promise<DrainFacts> {
  const { context, signal, progress } = options;
  let facts = started;
  while (facts.state === 'draining') {
    progress?.(facts);
    await context.runtime.clock.sleep(drainLookMs, { signal });
    facts = await status();
  }
  if (facts.state === 'drained') return facts;
  throw new InfinitError('unavailable', facts.error ?? 'others did not take over what this device keeps');
}

/** Hands over what the node holds before it ends; `force` ends it at once. Never throws: the process ends either way. */
export async function resign(node: Node, options: { force: AbortSignal; warn(text: string): void }): Promise<void> {
  const { drain, runtime } = node;
  if (drain === undefined || drain.status().state === 'drained') return;
  const { force, warn } = options;
  const abort = new AbortController();
  const give = () => abort.abort(new InfinitError('cancelled', 'asked to end at once'));
  const late = () =>
    abort.abort(new InfinitError('cancelled', `others did not take over within ${resignLimitMs / 1000} s`));
  if (force.aborted) return;
  force.addEventListener('abort', give);
  const cancelLimit = runtime.clock.after(resignLimitMs, late);
  let cancelTell = () => {};
  const tell = () => {
    const { registers, journals, blocks, confirmed } = drain.status();
    warn(
      `handing over: ${registers} registers and ${journals} journals left, ${confirmed} of ${blocks} blocks confirmed`,
    );
    cancelTell = runtime.clock.after(resignTellMs, tell);
  };
  cancelTell = runtime.clock.after(resignTellMs, tell);
  // Where the others are is not known any more.
  void node.outdated.then((reason) => abort.abort(reason));
  warn('handing over what this node holds; interrupt again to end at once');
  try {
    const { copies } = await drain.run(abort.signal);
    warn(`others hold everything this node held (${copies} copies)`);
  } catch (cause) {
    if (!isError(cause)) throw cause;
    warn(`not everything was handed over: ${cause.message}`);
  } finally {
    cancelTell();
    cancelLimit();
    force.removeEventListener('abort', give);
  }
}
