// What a storage node does about who is a member of what, wired: registers and journals that follow placement and absence, and
// leaving the network for good.

import type { Bytes } from '../base/bytes.ts';
import type { Address, Member } from '../block/address.ts';
import type { Registers } from '../consensus/consensus.ts';
import type { JournalService } from '../consensus/journal/service.ts';
import type { RegisterService } from '../consensus/register/service.ts';
import type { Overlay } from '../overlay/overlay.ts';
import type { Peers } from '../peer/peer.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { AbsenceMeter } from '../store/absence.ts';
import type { Unwanted } from '../store/block-service.ts';
import type { BlockTransfer } from '../store/block-transfer.ts';
import { Drain } from '../store/drain.ts';
import type { HeldBlocks } from '../store/held-blocks.ts';
import { JournalUpkeep } from '../store/journal-upkeep.ts';
import { Membership } from '../store/membership.ts';
import { Mending } from '../store/mending.ts';
import type { Scrub } from '../store/scrub.ts';
import { Worker } from '../store/worker.ts';

export interface MembersParts {
  runtime: Runtime;
  peers: Peers;
  networkId: Bytes;
  self: () => Member;
  overlay: Overlay;
  absence: AbsenceMeter;
  service: RegisterService;
  journals: JournalService;
  registers: Registers;
  held: HeldBlocks;
  scrub: Scrub;
  transfer: BlockTransfer;
  unwanted: Unwanted;
  replicationFactor: number;
  announce: (leaving: boolean) => void;
}

export interface Members {
  readonly workers: readonly Worker[];
  readonly drain: Drain;
  /** Trees that are gone for good. */
  destroyed(trees: readonly Address[]): void;
}

const periodMs = 30_000;

export function keepMembers(parts: MembersParts): Members {
  const { runtime, absence } = parts;
  const membership = new Membership(parts);
  const journals = new JournalUpkeep(parts);
  const recheck = () => {
    membership.recheck();
    journals.recheck();
  };
  absence.events.on('back', recheck);
  absence.events.on('evicted', () => journals.recheck());
  const mover = new Worker(membership, runtime, periodMs);
  const drain = new Drain({ ...parts, journals, moveRegisters: () => mover.wake() });
  const follower = new Worker(journals, runtime, periodMs);
  const mender = new Worker(new Mending(parts), runtime, periodMs);
  parts.scrub.events.on('rotten', () => mender.wake());
  const destroyed = (trees: readonly Address[]) => {
    journals.destroyed(trees);
    follower.wake();
  };
  return { workers: [mover, follower, mender], drain, destroyed };
}
