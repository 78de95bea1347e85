// Directories. Where a listing stands is in its cookies alone, so there is nothing to keep for an open directory.

import { limits } from '../../base/limits.ts';
import { emptyReply, ListingReply, openReply, type Reply } from './replies.ts';
import type { Listing } from './requests.ts';
import type { Call, Serving } from './serving.ts';

export function openDirectory(): Reply {
  return openReply(0, 0);
}

export function closeDirectory(): Reply {
  return emptyReply;
}

export function list(serving: Serving, call: Call, asked: Listing): Promise<Reply> {
  return fill(serving, call, asked, false);
}

/** As if each entry had been looked up, but `.` and `..`. */
export function listWithAttributes(serving: Serving, call: Call, asked: Listing): Promise<Reply> {
  return fill(serving, call, asked, true);
}

/** What does not fit is asked for again by its cookie. */
async function fill(serving: Serving, call: Call, { after, length }: Listing, plus: boolean): Promise<Reply> {
  const limit = Math.min(limits.listEntriesMax, ListingReply.entriesIn(length, plus));
  const options = { limit, attributes: plus, signal: call.signal };
  const { entries } = await serving.files.list(call.inode, after, options);
  const reply = new ListingReply(Math.min(length, limits.fuseDataBytesMax), plus);
  for (const entry of entries) {
    if (!reply.hasRoom(entry)) break;
    const attributes = plus && entry.cookie > 2n ? entry.attributes : undefined;
    reply.add(entry, attributes && { ...serving.told(call, entry.name, attributes), attributes });
  }
  return reply.finish();
}
