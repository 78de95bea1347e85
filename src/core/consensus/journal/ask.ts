// One question to one journal member: to its node, believed only when it answers in the name of that member's store.

import { type Bytes, equalBytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Member } from '../../block/address.ts';
import type { Overlay } from '../../overlay/overlay.ts';
import type { Peers } from '../../peer/peer.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { JournalAnswer, JournalMethod } from './messages.ts';

export interface JournalParts {
  runtime: Runtime;
  peers: Peers;
  overlay: Overlay;
  networkId: Bytes;
}

/** Throws what the member threw, `unavailable` when it does not answer or its store is another by now. */
export async function askMember<Q>(
  { peers, overlay }: JournalParts,
  member: Member,
  method: JournalMethod<Q>,
  request: Q,
  signal?: AbortSignal,
): Promise<JournalAnswer> {
  const peer = peers.get(member.node) ?? (await overlay.peer(member.node, { signal }));
  const { store, answer } = await peer.call(method, request, { timeoutMs: limits.journalCallTimeoutMs, signal });
  if (!equalBytes(store, member.store)) throw new InfinitError('unavailable', 'the member has another store now');
  return answer;
}
