// What the commands on journals of mounts with `--async` ask of the composition root; part of `Running`.

import type { Acting } from './running.ts';

/** What waits on this device to be sent to a network; JSON-safe. */
export interface JournalStat {
  name: string;
  operations: number;
  /** Bytes. */
  size: number;
  /** Operations that others made impossible, kept for a person to see to. */
  refused: number;
}

/** An operation that a journal keeps; JSON-safe. */
export interface JournalOperation {
  /** `VOLUME:NUMBER`. */
  operation: string;
  type: string;
  /** Beginning with `?` where it is not known. */
  paths: readonly string[];
  /** Of a rename. */
  to?: string;
  /** Bytes of data. */
  bytes?: number;
  /** Why it is not sent any more. */
  refused?: string;
}

export interface JournalOptions extends Acting {
  /** Bare or qualified. */
  network: string;
  /** `VOLUME:NUMBER`, or the number alone when it is of one volume only. */
  operation?: string | undefined;
}

export interface RunningJournals {
  /** Of one network, or all this user is linked to. Throws `corrupt`. */
  journalStat(options: Acting & { network?: string | undefined }): Promise<JournalStat[]>;
  /** What waits, in order, then what was refused. Throws `not-found`, `corrupt`. */
  journalOperations(options: JournalOptions): Promise<JournalOperation[]>;
  /** One with all it carries; JSON-safe. Throws `not-found`, `conflict` when the number is of several volumes. */
  journalOperation(options: JournalOptions & { operation: string }): Promise<Record<string, unknown>>;
  /** A refused one is kept no more. Throws `not-found`. */
  forgetRefused(options: JournalOptions & { operation: string }): Promise<void>;
}
