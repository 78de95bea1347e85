// What a node that says it is drained may be needed for still (docs/protocols.md 1.3, 2.5): nothing. Judged by the records and
// blocks as the disks hold them, and by chosen states.

import { toHex } from '../../../src/core/base/bytes.ts';
import type { Host } from '../runtime/host.ts';
import type { Watch } from './watch.ts';

/** In words; `copies`: how many others are to hold each of its blocks. */
export function needsOf(watch: Watch, host: Host, copies: number): string[] {
  const { stores, registers, trees, blocks } = watch;
  const mirror = stores.of(host);
  const isOwn = ({ store }: { store: Uint8Array }) => toHex(store) === mirror.storeId;
  const needs: string[] = [];
  // Whoever has just proposed members may not have known yet that it leaves.
  for (const address of watch.changedLately ? [] : registers.addresses) {
    const config = registers.latest(address)?.image.state.config;
    const isMember = config !== undefined && [...config.current, ...(config.previous ?? [])].some(isOwn);
    if (isMember && mirror.held.has(`register/${address}`))
      needs.push(`register ${address.slice(0, 12)} has it as a member`);
  }
  for (const address of trees.addresses) {
    const entry = registers.latest(address);
    const header = entry && trees.headerOf(entry);
    if (header?.segments.some(({ members }) => members.some(isOwn)))
      needs.push(`the journal of ${address.slice(0, 12)} counts on it`);
  }
  for (const address of blocks.lasting) {
    if (!mirror.held.has(`block/${address}`)) continue;
    const others = stores.holders('block', address).filter((one) => one !== mirror);
    if (others.length < copies) needs.push(`${others.length} of ${copies} others hold block ${address.slice(0, 12)}`);
  }
  return needs;
}
