// Finding out that a disk was set back (docs/protocols.md 2.7). Every store counts its acknowledged changes; nodes tell others
// their count now and then, and ask them for it before they vote again after a start. A store that is behind what others
// remember was restored from a copy: it must not vote in the name of the one it was copied from, so it takes another.

import { toHex } from '../base/bytes.ts';
import { empty, optional, struct, u64 } from '../base/codec.ts';
import { isError } from '../base/errors.ts';
import { deferred } from '../base/lifecycle.ts';
import { type NodeId, type StoreId, storeId } from '../block/address.ts';
import type { Overlay } from '../overlay/overlay.ts';
import type { Handler, Method, Peer, Peers } from '../peer/peer.ts';
import type { Cancel, Runtime } from '../runtime/runtime.ts';
import type { Silo } from '../silo/silo.ts';

/** Others that are told, and asked. */
const witnessesMax = 3;
const notePeriodMs = 5_000;
/** Somebody is known, but nobody answers: without him no majority votes either, except of registers only this node has. */
const askDeadlineMs = 5_000;
const askAgainMs = 200;

const storeNote: Method<{ store: StoreId; sequence: number }, Record<string, never>> = {
  name: 'store.note',
  request: struct({ store: storeId, sequence: u64 }),
  response: empty,
  right: 'storage',
};

const storeRecall: Method<{ store: StoreId }, { sequence: number | undefined }> = {
  name: 'store.recall',
  request: struct({ store: storeId }),
  response: struct({ sequence: optional(u64) }),
  right: 'storage',
};

/** The highest counts others told, kept over restarts. A node speaks for its own stores only. */
export interface WitnessBook {
  remember(node: NodeId, store: StoreId, sequence: number): Promise<void>;
  recall(node: NodeId, store: StoreId): Promise<number | undefined>;
}

export interface WitnessOptions {
  runtime: Runtime;
  peers: Peers;
  overlay: Overlay;
  silo: Silo;
  book: WitnessBook;
}

export class Witness {
  private readonly options: WitnessOptions;
  private readonly checked = deferred();
  private noted = 0;
  private cancel: Cancel = () => {};
  private stopped = false;

  constructor(options: WitnessOptions) {
    const { peers, book } = options;
    this.options = options;
    peers.serve(storeNote, async ({ store, sequence }, { from }) => {
      await book.remember(from.id, store, sequence);
      return {};
    });
    peers.serve(storeRecall, async ({ store }, { from }) => ({ sequence: await book.recall(from.id, store) }));
  }

  /** The same peers, whose handlers wait until this store may vote. */
  gated(): Peers {
    const { peers } = this.options;
    const checked = this.checked.promise;
    const serve = <Q, R>(method: Method<Q, R>, handler: Handler<Q, R>) =>
      peers.serve(method, async (request, context) => {
        await checked;
        return handler(request, context);
      });
    return Object.assign(Object.create(peers) as Peers, { serve });
  }

  /**
   * Asks others, takes a new store id when this store was set back, and lets it vote. Returns whether it was.
   * `expectOthers`: others were met before, so somebody ought to answer.
   */
  async check(expectOthers: boolean): Promise<boolean> {
    const { silo, runtime } = this.options;
    const remembered = silo.sequence() === 0 ? 0 : await this.askAround(expectOthers);
    const setBack = remembered > silo.sequence();
    if (setBack) {
      const was = toHex(silo.storeId);
      await silo.renew();
      const facts = { was, now: toHex(silo.storeId), remembered, here: silo.sequence() };
      runtime.log.write('error', 'silo', 'the silo was set back to an earlier state: it takes a new identity', facts);
    }
    this.allow();
    return setBack;
  }

  /** Lets the store vote unasked: nobody else can be there. */
  allow(): void {
    this.checked.resolve();
    if (!this.stopped) this.noteLater();
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
  }

  /** The highest count any of the others asked remembers. */
  private async askAround(expectOthers: boolean): Promise<number> {
    const { runtime, silo } = this.options;
    const asked = new Set<string>();
    let highest = 0;
    let answers = 0;
    const deadline = runtime.clock.monotonic() + askDeadlineMs;
    while (expectOthers || this.others().length > 0) {
      const fresh = this.others().filter((id) => !asked.has(toHex(id)));
      await Promise.all(
        fresh.slice(0, witnessesMax - answers).map(async (id) => {
          asked.add(toHex(id));
          try {
            const peer = await this.options.overlay.peer(id);
            const { sequence } = await peer.call(storeRecall, { store: silo.storeId }, { timeoutMs: askDeadlineMs });
            highest = Math.max(highest, sequence ?? 0);
            answers++;
          } catch (error) {
            if (!isError(error)) throw error; // asked again as long as too few have answered
            asked.delete(toHex(id));
          }
        }),
      );
      const left = this.others().filter((id) => !asked.has(toHex(id)));
      if (answers >= witnessesMax || (answers > 0 && left.length === 0)) break;
      if (runtime.clock.monotonic() > deadline) break;
      await runtime.clock.sleep(askAgainMs);
    }
    return highest;
  }

  /** Other storage nodes believed alive, in an order of their own, so that the same few are told and asked. */
  private others(): NodeId[] {
    const own = toHex(this.options.peers.self.id);
    const alive = this.options.overlay.nodes().filter((node) => toHex(node.id) !== own);
    return alive.map((node) => node.id).sort((a, b) => (toHex(a) < toHex(b) ? -1 : 1));
  }

  private noteLater(): void {
    this.cancel = this.options.runtime.clock.after(notePeriodMs, () => {
      this.note()
        .catch((error: unknown) => {
          if (!isError(error)) throw error;
        })
        .finally(() => !this.stopped && this.noteLater());
    });
  }

  private async note(): Promise<void> {
    const { silo, overlay } = this.options;
    const sequence = silo.sequence();
    if (sequence === this.noted) return;
    const witnesses = this.others().slice(0, witnessesMax);
    const tell = async (id: NodeId) => {
      const peer: Peer = await overlay.peer(id);
      await peer.call(storeNote, { store: silo.storeId, sequence });
    };
    const told = await Promise.allSettled(witnesses.map(tell));
    if (told.some((outcome) => outcome.status === 'fulfilled')) this.noted = sequence;
  }
}
