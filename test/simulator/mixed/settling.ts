// What a network owes its users once faults have ended: every register on as many live members as it should have, in a simple
// configuration, every block in as many copies.

import { toHex } from '../../../src/core/base/bytes.ts';
import type { Watch } from '../watch/watch.ts';
import type { Cast } from './cast.ts';

/** Undefined when it is so. */
export function hold(watch: Watch, cast: Cast, members: number): string | undefined {
  const stores = new Set(
    cast.storage.flatMap(({ device }) => {
      const silo = device.linked?.node.options.silo;
      return silo ? [toHex(silo.storeId)] : [];
    }),
  );
  for (const address of watch.registers.addresses) {
    const newest = watch.registers.latest(address);
    if (!newest || newest.image.state.value.deleted) continue;
    const { current, previous } = newest.image.state.config;
    const name = `register ${address.slice(0, 12)}`;
    if (previous) return `${name} is joint`;
    const gone = current.find(({ store }) => !stores.has(toHex(store)));
    if (gone) return `${name} has the member ${toHex(gone.store)}, which is no store of a running node`;
    if (current.length < members) return `${name} has ${current.length} members`;
  }
  const [thin] = watch.blocks.thin(members);
  return thin && `block ${thin.slice(0, 12)} has fewer than ${members} copies`;
}
