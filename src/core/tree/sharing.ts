// Sharing a tree as its owner (docs/protocols.md 4.11): whoever leads hands over, then the owner's client leads and agrees on the
// other list in the root.

import { equalBytes } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { type Abortable, checkSignal } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { ChangeShares } from './access.ts';
import type { Root, TreeContext } from './context.ts';
import type { Follower } from './follower.ts';
import type { Leader } from './leader.ts';
import { treeYield } from './messages.ts';

/** A leader that does not hand over within that is deposed. */
const patienceMs = 10_000;
const pauseMs = 100;

export interface OwnerOptions extends Abortable {
  context: TreeContext;
  follower: Follower;
  leader: () => Leader | undefined;
  lead: (after: Root) => Promise<Leader>;
}

/** Throws `denied` when the user is not the owner, `unavailable` when it cannot be agreed on in time. */
export async function shareAsOwner(change: ChangeShares, options: OwnerOptions): Promise<void> {
  const { context, signal } = options;
  const { clock } = context.runtime;
  const began = clock.monotonic();
  for (;;) {
    checkSignal(signal);
    const asked = clock.monotonic() - began;
    try {
      const leader = options.leader() ?? (await becomeLeader(options, asked > patienceMs));
      return await leader.share(change);
    } catch (error) {
      if (!isError(error, 'unavailable', 'conflict') || asked > limits.operationDeadlineMs) throw asError(error);
    }
    await clock.sleep(pauseMs, { signal });
  }
}

async function becomeLeader({ context, follower, lead, signal }: OwnerOptions, force: boolean): Promise<Leader> {
  const root = await context.root.read({ signal });
  if (!equalBytes(root.snapshot.access.owner, context.user.publicKey))
    throw new InfinitError('denied', 'only the owner says who reads and writes');
  const { leader, state } = root.header;
  if (leader !== undefined && state !== 'idle' && !force) {
    const peer = await follower.otherLeader();
    await peer?.call(treeYield, { treeId: context.treeId }, { timeoutMs: patienceMs, signal });
    return lead(await context.root.read({ signal }));
  }
  return lead(root);
}
