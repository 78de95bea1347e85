// Whoever came second on a device is a client beside the process that is its storage node. When that one has ended, the client's
// process stands in: it opens the storage node beside the client it goes on being, and gives the place back when `network run`
// wants it (decision 027).

import { toHex } from '../base/bytes.ts';
import { asError, isError } from '../base/errors.ts';
import { Mutex } from '../base/lifecycle.ts';
import { formatEndpoint } from '../runtime/endpoint.ts';
import type { Endpoint } from '../runtime/runtime.ts';
import type { LinkedNode } from './link.ts';
import type { Node } from './node.ts';

const component = 'stand-in';
/** How often it is seen whether the place is free; rarer, up to this, while it cannot be taken for other reasons. */
const lookMs = 1000;
const lookMsMax = 60_000;
/** Who asked for the place has so long to take it. */
const asideMs = 15_000;

export interface StandInParts {
  client: Node;
  /** The storage node of this device, not started. Throws `exists` while another process is it. */
  open: () => Promise<LinkedNode>;
}

/** Looks after a node; what it gives ends that. */
export type Tend = (storage: LinkedNode) => () => Promise<void>;

export class StandIn {
  private readonly parts: StandInParts;
  private readonly changing = new Mutex();
  private readonly stopping = new AbortController();
  private looking: Promise<void> = Promise.resolve();
  /** Fires when the place is not to be taken after all. */
  private aside = new AbortController();
  private asideUntilMs = 0;
  private tend: Tend | undefined;
  private endTending = async (): Promise<void> => {};
  private storage: LinkedNode | undefined;
  private trouble = '';
  /** Where the storage node of this device was met. */
  private met = '';

  constructor(parts: StandInParts) {
    this.parts = parts;
  }

  /** Takes the place as soon as it is free. */
  begin(seeds: readonly Endpoint[]): void {
    this.looking = this.look(seeds);
  }

  /** What is done for the storage node while it is here; until what it gives is called. */
  async tendedBy(tend: Tend): Promise<() => Promise<void>> {
    await this.changing.run(() => {
      this.tend = tend;
      if (this.storage !== undefined) this.endTending = tend(this.storage);
    });
    return () =>
      this.changing.run(async () => {
        this.tend = undefined;
        await this.untended();
      });
  }

  /** Ends the storage node, if it is here, and leaves its place to others for a while. */
  async giveWay(): Promise<void> {
    this.asideUntilMs = this.clock.monotonic() + asideMs;
    this.aside.abort();
    await this.changing.run(() => this.end());
  }

  /** Last of all: what is closed before may need the storage node. */
  async close(): Promise<void> {
    this.stopping.abort();
    await this.looking;
    await this.changing.run(() => this.end());
  }

  private get clock() {
    return this.parts.client.runtime.clock;
  }

  private async look(seeds: readonly Endpoint[]): Promise<void> {
    const { signal } = this.stopping;
    for (let waitMs = lookMs; !signal.aborted; ) {
      const isHeld = await this.changing
        .run(() => this.attempt(seeds))
        .then(
          () => true,
          (error: unknown) => this.failed(error),
        );
      await this.meetStorage();
      await this.clock.sleep(waitMs, { signal }).catch(() => {});
      waitMs = isHeld ? lookMs : Math.min(2 * waitMs, lookMsMax);
    }
  }

  /** Whether it is only that somebody else has the place. */
  private failed(error: unknown): boolean {
    if (isError(error, 'exists', 'cancelled')) return true;
    const { message } = asError(error);
    // The link is gone or has no silo any more: then there is nothing to keep.
    if (message !== this.trouble && !isError(error, 'not-found', 'usage')) this.note('warn', `cannot: ${message}`);
    this.trouble = message;
    return false;
  }

  private async attempt(seeds: readonly Endpoint[]): Promise<void> {
    const { client, open } = this.parts;
    if (this.storage !== undefined || this.clock.monotonic() < this.asideUntilMs) return;
    if (this.stopping.signal.aborted || (await client.options.state.isDrained())) return;
    this.aside = new AbortController();
    const signal = AbortSignal.any([this.aside.signal, this.stopping.signal]);
    const storage = await open();
    try {
      // Drained and given up since it was asked.
      if (await client.options.state.isDrained()) return await storage.close();
      await storage.node.start(seeds, { signal });
    } catch (error) {
      await storage.close();
      throw error;
    }
    this.storage = storage;
    this.trouble = '';
    if (this.tend !== undefined) this.endTending = this.tend(storage);
    this.note('info', 'stands in as the storage node of this device');
  }

  /** The client knows where the storage node of this device is, whoever is it. */
  private async meetStorage(): Promise<void> {
    const { overlay, options } = this.parts.client;
    try {
      const endpoints = await options.state.told();
      const told = endpoints.map(formatEndpoint).join(' ');
      if (told === this.met || told === '') return;
      await overlay.meet(endpoints, { signal: this.stopping.signal });
      this.met = told;
    } catch {
      // Not there yet, or not any more: it is asked again.
    }
  }

  private async end(): Promise<void> {
    const { storage } = this;
    if (storage === undefined) return;
    this.storage = undefined;
    await this.untended();
    await storage.close();
    this.note('info', 'stands in no more');
  }

  private async untended(): Promise<void> {
    const end = this.endTending;
    this.endTending = async () => {};
    await end();
  }

  private note(level: 'info' | 'warn', message: string): void {
    const { runtime, peers } = this.parts.client;
    runtime.log.write(level, component, message, { client: toHex(peers.self.id).slice(0, 8) });
  }
}
