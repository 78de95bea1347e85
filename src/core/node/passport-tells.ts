// How nodes tell each other the passports they have met. What comes in is looked at a few at a time, one message of a sender
// after another, and who tells bad ones is not listened to for a while; what goes out waits in one list a peer, each passport once.

import { type Bytes, toHex } from '../base/bytes.ts';
import { bytes, empty, list, struct } from '../base/codec.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Method, Peer, Peers } from '../peer/peer.ts';
import type { Runtime } from '../runtime/runtime.ts';

const passportsPerMessageMax = 256;
/** Each costs up to two signature checks: so many fit a turn of the event loop. */
const passportsPerTurn = 8;
const turnPauseMs = 1;

/** Passports the sender has met; the receiver verifies each. */
export const passportTell: Method<{ passports: Bytes[] }, Record<string, never>> = {
  name: 'passport.tell',
  request: struct({ passports: list(bytes(limits.passportBytesMax), passportsPerMessageMax) }),
  response: empty,
  right: 'member',
};

/** What is known of a sender while he is connected. */
interface Sender {
  busy: Promise<void>;
  waiting: number;
  refused: number;
  /** Monotonic; until then nothing of him is looked at. */
  mutedUntil: number;
}

export interface PassportTellsOptions {
  runtime: Runtime;
  peers: Peers;
  /** Looks at one; false when it is not worth anything. */
  learn: (passport: Bytes) => boolean;
}

export class PassportTells {
  private readonly options: PassportTellsOptions;
  private readonly senders = new Map<string, Sender>();
  /** By peer, the passports it is still to be told, by name. */
  private readonly outboxes = new Map<string, Map<string, Bytes>>();

  constructor(options: PassportTellsOptions) {
    const { peers } = options;
    this.options = options;
    peers.serve(passportTell, async ({ passports }, { from }) => {
      await this.heard(toHex(from.id), passports);
      return {};
    });
    peers.events.on('disconnected', ({ id }) => {
      const sender = this.senders.get(toHex(id));
      // Who was muted stays so: to connect again is no way out.
      if (sender && sender.mutedUntil <= options.runtime.clock.monotonic()) this.senders.delete(toHex(id));
      this.outboxes.delete(toHex(id));
    });
  }

  /** Before long, to a storage node; those on their way already are not told twice. */
  tell(peer: Peer, passports: Iterable<readonly [string, Bytes]>): void {
    const { self } = this.options.peers;
    const name = toHex(peer.id);
    if (peer.identity.kind !== 'storage' || name === toHex(self.id)) return;
    const open = this.outboxes.get(name);
    const outbox = open ?? new Map<string, Bytes>();
    for (const [hash, passport] of passports) if (outbox.size < limits.passportsKeptMax) outbox.set(hash, passport);
    if (open || outbox.size === 0) return;
    this.outboxes.set(name, outbox);
    void this.send(peer, name, outbox);
  }

  private async send(peer: Peer, name: string, outbox: Map<string, Bytes>): Promise<void> {
    try {
      while (outbox.size > 0 && this.outboxes.get(name) === outbox) {
        const part = [...outbox].slice(0, passportsPerMessageMax);
        for (const [hash] of part) outbox.delete(hash);
        await peer.call(passportTell, { passports: part.map(([, passport]) => passport) });
      }
    } catch (error) {
      if (!isError(error)) throw error; // told again when it connects again
    } finally {
      if (this.outboxes.get(name) === outbox) this.outboxes.delete(name);
    }
  }

  /** Throws `full` when too many messages of one sender wait, `denied` while he is not listened to. */
  private async heard(name: string, passports: readonly Bytes[]): Promise<void> {
    const sender = this.sender(name);
    if (sender.waiting >= limits.passportTellsWaitingMax)
      throw new InfinitError('full', 'too many passports are told at once');
    sender.waiting++;
    const turn = sender.busy.then(() => this.look(sender, passports));
    sender.busy = turn.catch(() => {});
    try {
      await turn;
    } finally {
      sender.waiting--;
    }
  }

  private async look(sender: Sender, passports: readonly Bytes[]): Promise<void> {
    const { learn } = this.options;
    const { clock } = this.options.runtime;
    for (const [i, passport] of passports.entries()) {
      if (sender.mutedUntil > clock.monotonic())
        throw new InfinitError('denied', 'too many of the passports told are worth nothing');
      if (i > 0 && i % passportsPerTurn === 0) await clock.sleep(turnPauseMs);
      if (learn(passport) || ++sender.refused < limits.passportsRefusedMax) continue;
      sender.refused = 0;
      sender.mutedUntil = clock.monotonic() + limits.passportTellMuteMs;
    }
  }

  private sender(name: string): Sender {
    const known = this.senders.get(name);
    if (known) return known;
    const oldest = this.senders.keys().next();
    if (this.senders.size >= limits.sessionsOpenMax && !oldest.done) this.senders.delete(oldest.value);
    const sender: Sender = { busy: Promise.resolve(), waiting: 0, refused: 0, mutedUntil: 0 };
    this.senders.set(name, sender);
    return sender;
  }
}
