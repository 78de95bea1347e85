// What a network owes its users once faults have ended: every register on as many live members as it should have, each with what was
// agreed on, in a simple configuration, every block in as many copies, both in distinct zones as far as there are enough.

import { toHex } from '../../../src/core/base/bytes.ts';
import type { Watch } from '../watch/watch.ts';
import type { Actor, Cast } from './cast.ts';

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
    const [lagging] = watch.registers.lagging(address);
    if (lagging) return `${name} has the member ${toHex(lagging.store)}, which does not hold what was agreed on`;
  }
  const [thin] = watch.blocks.thin(members);
  return thin && `block ${thin.slice(0, 12)} has fewer than ${members} copies`;
}

/** Undefined when copies and members stand in as many zones as they can. */
export function crowded(watch: Watch, cast: Cast, members: number): string | undefined {
  const zones = new Map(cast.storage.flatMap(({ device }) => zoneOf(device)));
  const all = new Set(zones.values()).size;
  const wanted = Math.min(members, all);
  if (all < 2) return undefined;
  const few = (stores: readonly string[]) => {
    const found = new Set(stores.flatMap((store) => zones.get(store) ?? [])).size;
    return found < wanted ? `stands in ${found} of ${all} zones` : undefined;
  };
  for (const address of watch.registers.addresses) {
    const state = watch.registers.latest(address)?.image.state;
    const wrong = state && !state.value.deleted && few(state.config.current.map(({ store }) => toHex(store)));
    if (wrong) return `zones: register ${address.slice(0, 12)} ${wrong}`;
  }
  for (const address of watch.blocks.lasting) {
    const wrong = few(watch.stores.holders('block', address).map(({ storeId }) => storeId));
    if (wrong) return `zones: block ${address.slice(0, 12)} ${wrong}`;
  }
  return undefined;
}

/** The store of a node that runs, and where it says that it stands. */
function zoneOf({ linked }: Actor['device']): [string, string][] {
  const { silo, zone } = linked?.node.options ?? {};
  return silo && zone !== undefined ? [[toHex(silo.storeId), zone]] : [];
}
