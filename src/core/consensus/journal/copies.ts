// Asking the other members of a segment for a batch whose copy here has rotted.

import { isError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import { type Address, type Member, sameMember } from '../../block/address.ts';
import { askMember, type JournalParts } from './ask.ts';
import type { BatchPlace } from './member-store.ts';
import { journalCopy, type SignedBatch } from './messages.ts';

/** The first copy that somebody shows; not verified. Undefined: nobody does. */
export async function fetchBatch(
  parts: JournalParts & { self: () => Member },
  tree: Address,
  place: BatchPlace,
  members: readonly Member[],
  { signal }: Abortable = {},
): Promise<SignedBatch | undefined> {
  for (const member of members) {
    if (sameMember(member, parts.self())) continue;
    try {
      const answer = await askMember(parts, member, journalCopy, { tree, ...place }, signal);
      const [batch] = answer.type === 'batches' ? answer.batches : [];
      if (batch !== undefined) return batch;
    } catch (error) {
      if (!isError(error) || signal?.aborted) throw error; // the next one may have it
    }
  }
  return undefined;
}
