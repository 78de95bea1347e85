// Asking for a garbage cycle, or how it stands, wherever the leader is.

import type { Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Follower } from '../follower.ts';
import { type CollectionStatus, type CollectRequest, treeCollect } from '../messages.ts';
import type { Garbage } from './garbage.ts';

const attemptsMax = 3;

export interface CollectQuestion {
  treeId: Bytes;
  begin: CollectRequest['begin'];
  /** That of this process, while it leads. */
  own: () => Pick<Garbage, 'ask' | 'status'> | undefined;
}

/** Throws `unavailable` when no leader can be had, `denied`. */
export async function collectAnywhere(
  follower: Follower,
  { treeId, begin, own }: CollectQuestion,
): Promise<CollectionStatus> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const here = own();
    if (here !== undefined) {
      if (begin !== undefined) here.ask(begin.graceMs);
      return here.status();
    }
    const peer = await follower.otherLeader();
    const status = peer && (await peer.call(treeCollect, { treeId, begin })).status;
    if (status !== undefined) return status;
    await follower.settle();
  }
  throw new InfinitError('unavailable', 'nobody leads the tree');
}
