// What a leader is given: the root it starts from, whom it tells, and how an operation is to be executed.

import type { Bytes } from '../base/bytes.ts';
import type { InfinitError } from '../base/errors.ts';
import type { JournalWriter } from '../consensus/consensus.ts';
import type { BaseTree } from './base/base-tree.ts';
import type { Root } from './context.ts';
import type { Change, Outcome } from './messages.ts';
import type { Effect } from './tree.ts';

/** What a takeover hands over: an active root of this epoch, and its open segment. */
export interface Leadership {
  root: Root;
  base: BaseTree;
  writer: JournalWriter;
  /** What was recovered from the journal: followers may have missed it. */
  recovered: readonly Change[];
  /** Session of the leader before, if there was one. */
  predecessor: Bytes | undefined;
}

export interface LeaderOptions {
  /** Once, when the leadership ends; `conflict` when somebody else leads. */
  onEnded(error: InfinitError): void;
  onChange(change: Change): void;
}

export interface ExecuteOptions {
  /** `false` answers before the journal has it. */
  durable: boolean;
  /** Another client that asked, and up to which count it has forgotten what it was answered. */
  by?: { id: Bytes; generation: number } | undefined;
  /** Told what the operation changed, and waited for, before it is answered. */
  told?: ((effects: readonly Effect[]) => Promise<void>) | undefined;
}

/** What executing came to. */
export interface Ran {
  outcome: Outcome;
  effects?: readonly Effect[];
  /** The answer holds once this is acknowledged... */
  after: number;
  /** ...and, for one that only read, while the grants last. */
  read: boolean;
}
