// What the protocols promise to survive (docs/protocols.md 0): a store may be lost for ever while every member set it stands in
// keeps its majority, and every acknowledged block has sound copies elsewhere.

import { toHex } from '../../../src/core/base/bytes.ts';
import type { Member } from '../../../src/core/block/address.ts';
import type { Watch } from '../watch/watch.ts';
import type { Actor, Cast } from './cast.ts';

/**
 * Whether what the node's store holds may be gone now, besides all that is gone already. Not while a node leaves for good: member
 * sets shrink then.
 */
export function mayLose(watch: Watch, cast: Cast, { device, down }: Actor): boolean {
  if (cast.isDraining) return false;
  const { host, linked } = device;
  const own = linked && toHex(linked.node.options.silo?.storeId ?? Buffer.alloc(0));
  if (!own || down || watch.changing) return false;
  const { dead, doubtful } = watch.stores;
  const gone = new Set([own, ...dead, ...doubtful]);
  const lasts = ({ store }: Member) => !gone.has(toHex(store));
  const majority = (set: readonly Member[]) => set.filter(lasts).length * 2 > set.length;
  for (const address of watch.registers.addresses)
    for (const { current, previous } of watch.registers.configurations(address))
      if (!majority(current) || (previous && !majority(previous))) return false;
  for (const address of watch.trees.addresses) {
    const entry = watch.registers.latest(address);
    const header = entry && watch.trees.headerOf(entry);
    if (header?.segments.some(({ members }) => !majority(members))) return false;
  }
  return cast.storage.length > 3 && watch.blocks.thin(2, host).length === 0;
}

/** Whether a node may leave for good: all others are there, so that sets do not shrink, and no store is in doubt. */
export function mayLeave({ stores }: Watch, cast: Cast): boolean {
  const sound = stores.all().every(({ storeId }) => !stores.doubtful.has(storeId));
  return sound && cast.storage.every(({ ready, down }) => ready && !down);
}
