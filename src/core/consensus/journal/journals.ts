// The client side of journals: `Journals` over an overlay and peers.

import { equalBytes } from '../../base/bytes.ts';
import { decode } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { memberName } from '../../block/address.ts';
import { type Journals, rootHeader } from '../consensus.ts';
import type { JournalParts } from './ask.ts';
import { recoverJournal } from './recover.ts';
import { SegmentWriter } from './writer.ts';

export function createJournals(parts: JournalParts): Journals {
  return {
    open: async (root, segment, author, options = {}) => {
      const { segments, epoch } = decode(rootHeader, root.payload);
      const listed = segments.find(({ id }) => id === segment.id);
      const names = (members: typeof segment.members) => members.map(memberName).sort().join();
      if (!listed || listed.start !== segment.start || names(listed.members) !== names(segment.members))
        throw new InfinitError('usage', 'a segment is opened only after the root that lists it is chosen');
      if (listed.epoch !== epoch || segment.epoch !== epoch)
        throw new InfinitError('usage', 'a segment is opened in its own epoch only');
      if (!equalBytes(root.author, author.publicKey))
        throw new InfinitError('usage', 'a segment is written by the author of the root that lists it');
      const writer = new SegmentWriter(parts, root, segment, author);
      await writer.start(options);
      return writer;
    },
    recover: (root, options) => recoverJournal(parts, root, options),
  };
}
