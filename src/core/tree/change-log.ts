// The newest acknowledged changes, in order: told to local listeners as they come, and kept a while for followers that ask
// for what came after a sequence they have seen.

import { type Deferred, deferred } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Clock } from '../runtime/runtime.ts';
import type { Change } from './messages.ts';
import { sessionSpace } from './sessions.ts';
import type { Effect } from './tree.ts';

const overheadBytes = 64;

export class ChangeLog {
  private readonly clock: Clock;
  private readonly listener: (change: Change) => void;
  private kept: Change[] = [];
  private bytes = 0;
  /** Everything after this sequence and up to `through` is kept. */
  private since: number;
  private through: number;
  private next: Deferred<void> = deferred<void>();

  constructor(clock: Clock, through: number, listener: (change: Change) => void) {
    this.clock = clock;
    this.listener = listener;
    this.since = through;
    this.through = through;
  }

  add(changes: readonly Change[]): void {
    for (const { sequence, effects } of changes) {
      const told = { sequence, effects: effects.filter((effect) => !ofSession(effect)) };
      this.through = sequence;
      if (told.effects.length === 0) continue;
      this.kept.push(told);
      this.bytes += costOf(told);
      this.listener(told);
    }
    this.bound();
    this.next.resolve();
    this.next = deferred<void>();
  }

  /** Changes after a sequence, or undefined when some of them are no longer kept. At most as many as fit an answer. */
  after(sequence: number): { through: number; changes: Change[] } | undefined {
    if (sequence < this.since || sequence > this.through) return undefined;
    const start = this.kept.findIndex((change) => change.sequence > sequence);
    if (start < 0) return { through: this.through, changes: [] };
    const changes: Change[] = [];
    let bytes = 0;
    for (const change of this.kept.slice(start)) {
      bytes += costOf(change);
      if (changes.length > 0 && bytes > limits.answerBytesMax / 2) break;
      changes.push(change);
    }
    const whole = changes.length === this.kept.length - start;
    return { through: whole ? this.through : (changes.at(-1)?.sequence ?? sequence), changes };
  }

  get newest(): number {
    return this.through;
  }

  /** Resolves when something was added after `sequence`, or the time is over. */
  async waitFor(sequence: number, timeMs: number): Promise<void> {
    if (this.through > sequence || timeMs <= 0) return;
    const over = deferred<void>();
    const cancel = this.clock.after(timeMs, () => over.resolve());
    await Promise.race([this.next.promise, over.promise]);
    cancel();
  }

  private bound(): void {
    let drop = 0;
    while (this.kept.length - drop > limits.changesKeptMax || this.bytes > limits.changesKeptBytesMax) {
      const oldest = this.kept[drop++];
      if (oldest === undefined) break;
      this.bytes -= costOf(oldest);
      this.since = oldest.sequence;
    }
    if (drop > 0) this.kept = this.kept.slice(drop);
  }
}

function ofSession(effect: Effect): boolean {
  return (effect.type === 'deleteRange' ? effect.from : effect.key)[0] === sessionSpace[0];
}

/** About what a change costs in memory and on the wire. */
export function costOf(change: Change): number {
  let bytes = overheadBytes;
  for (const effect of change.effects) {
    if (effect.type === 'put') bytes += effect.key.length + effect.value.length;
    else bytes += effect.type === 'delete' ? effect.key.length : effect.from.length + effect.to.length;
    bytes += 16;
  }
  return bytes;
}
