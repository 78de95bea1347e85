// Contract between a session and the FUSE device: whole requests in, whole answers out. Two implementations behind it; which one
// works is found out at the start.

import type { Bytes } from '../../base/bytes.ts';

export interface Transport {
  /** What it is, for the log. */
  readonly name: string;
  /**
   * Begins to read. `receive` gets each request; its memory is used again unless it answers true, and it must not throw.
   * `ended` is called once, when the kernel let go of the connection or reading failed.
   */
  start(receive: (frame: Buffer) => boolean, ended: (error?: Error) => void): void;
  /** Sends one answer, in one write, at once. An answer to a request that is gone is dropped. */
  reply(parts: readonly Bytes[]): void;
  /** Sends a notification off the main thread. Resolves with the error's code, if any; it may take as long as the kernel's locks. */
  notify(message: Buffer): Promise<string | undefined>;
  /** No more requests until `resume`. */
  pause(): void;
  resume(): void;
  /** Lets go of the device: the kernel then fails everything on the mount. Resolves when the descriptor is closed. */
  close(): Promise<void>;
}

/** Room for the longest request beside its data. */
export const requestOverheadBytes = 4096;
