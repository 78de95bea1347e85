// How many clients each user may have at a leader: every client leaves records in the tree, and a place in the table of answers
// (docs/protocols.md 4.6). One user must not take all of them.

import { type Bytes, toHex } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Clock } from '../runtime/runtime.ts';
import { sessionSilenceMs } from './sessions.ts';

export class SessionShares {
  private readonly clock: Pick<Clock, 'monotonic'>;
  /** By user, his clients and when they last asked, the longest silent first. */
  private readonly users = new Map<string, Map<string, number>>();

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.clock = clock;
  }

  /** Notes that the user's client asks; the error `full` when he has too many whose sessions have not expired. */
  refuse(user: Bytes, client: Bytes): InfinitError | undefined {
    const now = this.clock.monotonic();
    const clients = this.users.get(toHex(user)) ?? new Map<string, number>();
    const name = toHex(client);
    if (!clients.delete(name)) {
      for (const [other, askedAt] of clients) {
        if (now - askedAt < sessionSilenceMs) break;
        clients.delete(other);
      }
      if (clients.size >= limits.sessionsPerUserMax)
        return new InfinitError('full', `more than ${limits.sessionsPerUserMax} clients of one user at once`);
    }
    this.users.set(toHex(user), clients.set(name, now));
    return undefined;
  }
}
