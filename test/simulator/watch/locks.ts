// Locks judged by what their owners do (docs/protocols.md 4.10): K2 over who believes in what when something is granted, K3 over
// what is read and written under exclusive locks. K4 is judged where sessions are recorded.

import type { Coverage } from './coverage.ts';
import type { Report } from './rules.ts';

/** One owner's lock of one place, from its grant on. */
export interface Grant {
  readonly place: string;
  readonly by: string;
  readonly exclusive: boolean;
  /**
   * Nothing of that process runs, or it leads and counts no grants, so that nothing it asks for is answered: it finds out before
   * anything it does under the lock has an effect.
   */
  readonly isSuspended: () => boolean;
  /** Whether the owner may rely on it; false once its process has ended. */
  readonly believes: () => boolean;
  /** Somebody was granted what excludes it while it could not know. */
  overtaken: string | undefined;
}

interface Place {
  grants: Set<Grant>;
  /** What may stand there. */
  possible: Set<string>;
  /** All that was ever read there. */
  read: Set<string>;
  /** What was said to be durable. */
  durable: Set<string>;
  /** Counts exclusive grants. */
  turn: number;
}

export interface LockCheckerOptions {
  report: Report;
  coverage: Coverage;
  /** Clocks are further off than the protocol allows: who should have stopped believing may not have. */
  staleBelief: boolean;
}

export class LockChecker {
  readonly options: LockCheckerOptions;
  private readonly places = new Map<string, Place>();
  /** Sessions that stand in a tree, or stood there: clients and numbers. */
  private readonly recorded = new Set<string>();

  constructor(options: LockCheckerOptions) {
    this.options = options;
  }

  begin(name: string, text: string): void {
    this.places.set(name, {
      grants: new Set(),
      possible: new Set([text]),
      read: new Set(),
      durable: new Set(),
      turn: 0,
    });
  }

  /** K2: nobody else may still believe in a lock that excludes this one. */
  granted(grant: Grant): void {
    const { coverage } = this.options;
    const place = this.of(grant.place);
    coverage.reach(grant.exclusive ? 'lock/exclusive' : 'lock/shared');
    for (const other of place.grants) {
      if (!other.exclusive && !grant.exclusive) continue;
      if (other.isSuspended()) other.overtaken = grant.by;
      else if (other.believes()) this.broken(other, grant.by);
    }
    if (grant.exclusive) place.turn++;
    place.grants.add(grant);
  }

  /** The owner relies on its lock now. */
  relied(grant: Grant): boolean {
    if (!grant.believes()) return false;
    if (grant.overtaken !== undefined) this.broken(grant, grant.overtaken);
    return true;
  }

  over(grant: Grant): void {
    this.of(grant.place).grants.delete(grant);
  }

  /** K3: under a lock stands what was written under the ones before it. */
  read({ place: name, by }: Grant, text: string): void {
    const place = this.of(name);
    if (!place.possible.has(text) && !this.options.staleBelief)
      this.options.report('K3', `${by} read "${text}" at ${name}: ${[...place.possible].join(' or ')} was written`);
    place.read.add(text);
    // What only its own client has seen may go with that client.
    if (place.durable.has(text) || !text.startsWith(`${clientOf(by)}.`)) place.possible = new Set([text]);
  }

  /** The owner is about to write; what it calls then says that it is durable. */
  writing(grant: Grant, text: string): () => void {
    const place = this.of(grant.place);
    const { turn } = place;
    if (grant.exclusive) place.possible.add(text);
    return () => {
      place.durable.add(text);
      if (place.turn === turn) place.possible = new Set([text]);
      // Somebody else has locked it meanwhile: he has seen it, or will.
      else if (!place.read.has(text) && !place.possible.has(text))
        this.options.report('K3', `${grant.by} wrote "${text}" at ${grant.place} under a lock that was over`);
    };
  }

  /** K4. */
  isRecorded(client: string, session: number): void {
    this.recorded.add(`${client} ${session}`);
  }

  /** K4: a leader says that a session has begun. */
  began(client: string, session: number): void {
    if (!this.recorded.has(`${client} ${session}`))
      this.options.report('K4', `session ${session} of ${client.slice(0, 8)} has begun and is not in the tree`);
  }

  private broken(grant: Grant, by: string): void {
    if (this.options.staleBelief) this.options.coverage.reach('lock/believed too long by a wrong clock');
    else this.options.report('K2', `${by} was granted ${grant.place}, in whose lock ${grant.by} still believes`);
  }

  private of(name: string): Place {
    const place = this.places.get(name);
    if (!place) throw new Error(`nobody knows of ${name}`);
    return place;
  }
}

/** Owners are called by their client and a number, and so is what they write. */
function clientOf(owner: string): string {
  return owner.slice(0, owner.lastIndexOf('.'));
}
