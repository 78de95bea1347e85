// How clients keep up with a network: every little while they ask a storage node they are connected to, the nearest first, and
// look for one when there is none.

import type { Peer } from '../peer/peer.ts';
import type { Cancel, Endpoint } from '../runtime/runtime.ts';
import type { Directory } from './directory.ts';
import type { OverlayContext } from './overlay.ts';
import type { NodeName } from './ring.ts';

const refreshMs = 2000;
const retryMinMs = 1000;
const retryMaxMs = 15_000;
/** Connected nodes that are tried before another is looked for. */
const triesMax = 3;

export interface AskingParts {
  context: OverlayContext;
  directory: Directory;
  /** Takes over what the storage node knows; throws when it did not answer. */
  ask: (peer: Peer) => Promise<void>;
  /** Whom to look for when nobody is connected: the likeliest first. */
  candidates: () => readonly NodeName[];
}

export class Asking {
  private readonly parts: AskingParts;
  private seeds: readonly Endpoint[] = [];
  private retryMs = retryMinMs;
  private timer: Cancel | undefined;
  private stopped = false;

  constructor(parts: AskingParts) {
    this.parts = parts;
  }

  /** Meets the network, or goes on trying; the first to answer is asked before this returns. */
  async begin(seeds: readonly Endpoint[], remembered: readonly NodeName[], signal?: AbortSignal): Promise<void> {
    this.seeds = seeds;
    const met = await this.parts.directory.meet(seeds, remembered, signal);
    if (met) await this.parts.ask(met).catch(() => undefined);
    this.schedule(met ? refreshMs : retryMinMs);
  }

  /** Whoever is there is known from now on. Throws `unavailable` when nobody is. */
  async meet(places: readonly Endpoint[], signal?: AbortSignal): Promise<void> {
    await this.parts.ask(await this.parts.directory.meetAt(places, signal));
    this.wake();
  }

  /** Asks at once: something happened. */
  wake(): void {
    this.schedule(0);
  }

  stop(): void {
    this.stopped = true;
    this.timer?.();
  }

  private schedule(delayMs: number): void {
    this.timer?.();
    if (this.stopped) return;
    this.timer = this.parts.context.runtime.clock.after(delayMs, () => {
      void this.refresh();
    });
  }

  private async refresh(): Promise<void> {
    const { context, directory, ask, candidates } = this.parts;
    const connected = context.peers
      .connected()
      .filter((peer) => peer.identity.kind === 'storage' && peer.open)
      .sort((a, b) => (a.roundTripMs ?? 0) - (b.roundTripMs ?? 0));
    for (const peer of connected.slice(0, triesMax)) {
      if (await ask(peer).then(succeeded, failed)) {
        this.retryMs = retryMinMs;
        this.schedule(refreshMs);
        return;
      }
    }
    const met = await directory.meet(this.seeds, candidates()).catch(() => undefined);
    this.retryMs = met ? retryMinMs : Math.min(retryMaxMs, this.retryMs * 2);
    this.schedule(met ? 0 : this.retryMs);
  }
}

const succeeded = () => true;
const failed = () => false;
