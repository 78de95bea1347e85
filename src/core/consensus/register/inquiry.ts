// What a store asks of the other members of a register before it believes what a proposer says about them. A member is believed
// only in the name of its own store (G5).

import { type Bytes, equalBytes } from '../../base/bytes.ts';
import { isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Member } from '../../block/address.ts';
import type { Overlay } from '../../overlay/overlay.ts';
import type { Peers } from '../../peer/peer.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { type RegisterCall, registerBatch, type WireReply } from './messages.ts';

export interface InquiryParts {
  runtime: Runtime;
  peers: Peers;
  overlay: Pick<Overlay, 'peer'>;
  networkId: Bytes;
  /** The node and the store that ask. */
  member: () => Member;
}

/** The answers in the order of the calls; fewer, or none, from a member that is silent or has another store by now. */
export async function inquire(
  { peers, overlay }: InquiryParts,
  { node, store }: Member,
  calls: RegisterCall[],
): Promise<WireReply[]> {
  try {
    const peer = peers.get(node) ?? (await overlay.peer(node));
    const answer = await peer.call(registerBatch, { calls }, { timeoutMs: limits.registerCallTimeoutMs });
    return equalBytes(answer.store, store) ? answer.replies : [];
  } catch (error) {
    if (!isError(error)) throw error;
    return [];
  }
}
