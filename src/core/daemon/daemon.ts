// The daemon keeps nodes, mounts and doors of one home running. Each is a process of its own, a *unit*: it goes on when the daemon
// ends, however that ends, and the next daemon takes it up again. What the daemon keeps stands in a book on the disk.

import type { Role } from '../node/sockets.ts';

/** What the daemon keeps running: one process of a role, for a user and an object of his. */
export interface Unit {
  role: Role;
  /** The acting user. */
  user: string;
  /** Qualified. */
  name: string;
  /** Words of the command, without the program. */
  words: readonly string[];
  /** Where the command works: relative paths among the words mean something there. */
  directory: string;
}

/** A process as the kernel tells it from others that had or will have its number. */
export interface ProcessId {
  pid: number;
  /** When it began, by the kernel's count, and in which boot. */
  began: string;
}

/** A process that serves a unit, whether this daemon started it or found it. */
export interface UnitProcess {
  readonly id: ProcessId;
  /** Resolves once it serves; rejects with why it does not. */
  readonly serving: Promise<unknown>;
  /** Resolves with how it ended, in words. */
  readonly ended: Promise<string>;
  /** Asks it to leave gracefully; resolves when it has ended. Throws `conflict` while its files are in use, then it goes on. */
  stop(): Promise<void>;
  /**
   * Asks it to leave once nobody uses it; asked again, a mount goes out of sight at once, and serves those who still use its files.
   */
  press(): void;
}

/** Starts and finds processes. */
export interface Launcher {
  /** Starts one. Throws `unavailable` when it cannot be started. */
  launch(unit: Unit): Promise<UnitProcess>;
  /** The process that serves the unit now, by what is remembered or by its socket. */
  find(unit: Unit, remembered: ProcessId | undefined): Promise<UnitProcess | undefined>;
}

/** A unit's name among all of a home; also what its log is called. */
export function keyOf({ role, user, name }: Pick<Unit, 'role' | 'user' | 'name'>): string {
  return `${role} ${user} ${name}`;
}
