// Counts what a node holds into its inventory after a start, a piece at a time, and keeps the inventory true from then on.

import { isError } from '../base/errors.ts';
import type { Address } from '../block/address.ts';
import type { HeldBlocks } from './held-blocks.ts';
import type { Inventory } from './inventory.ts';
import type { Work } from './worker.ts';

const perStep = 256;
const parallelReads = 16;

export class Census implements Work {
  readonly name = 'census';
  readonly counters = { counted: 0, bad: 0 };
  private readonly held: HeldBlocks;
  private readonly inventory: Inventory;
  private readonly done: () => void;
  private rest: AsyncIterator<Address> | undefined;

  /** `done` is called once, when everything is counted. */
  constructor(held: HeldBlocks, inventory: Inventory, done: () => void) {
    this.held = held;
    this.inventory = inventory;
    this.done = done;
    held.events.on('changed', ({ address, generation }) => {
      if (generation === undefined) inventory.delete(address);
      else inventory.set(address, generation);
    });
  }

  async step(): Promise<boolean> {
    if (this.inventory.complete) return false;
    this.rest ??= this.held.addresses()[Symbol.asyncIterator]();
    const addresses: Address[] = [];
    let ended = false;
    while (addresses.length < perStep && !ended) {
      const next = await this.rest.next();
      if (next.done) ended = true;
      else addresses.push(next.value);
    }
    const count = async () => {
      for (let address = addresses.pop(); address !== undefined; address = addresses.pop()) await this.count(address);
    };
    await Promise.all(Array.from({ length: parallelReads }, count));
    if (!ended) return true;
    this.rest = undefined;
    this.inventory.complete = true;
    this.done();
    return false;
  }

  /** Under the block's lock, so that no change slips between reading and noting. */
  private async count(address: Address): Promise<void> {
    try {
      await this.held.locked(address, async () => {
        const generation = await this.held.generation(address);
        if (generation === undefined) {
          if (this.held.isBad(address)) this.counters.bad++;
          return;
        }
        this.inventory.set(address, generation);
        this.counters.counted++;
      });
    } catch (error) {
      if (!isError(error, 'corrupt')) throw error;
      this.counters.bad++;
      await this.held.verify(address);
    }
  }
}
