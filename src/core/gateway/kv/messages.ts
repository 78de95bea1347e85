// The protocol of the key-value door: the frames and typed calls of peer/, with these methods. Values above one part travel in
// parts: put after uploads, get before further reads of the same version.

import type { Bytes } from '../../base/bytes.ts';
import {
  attachment,
  bool,
  bytes,
  type Codec,
  empty,
  list,
  oneOf,
  optional,
  struct,
  u32,
  u64,
} from '../../base/codec.ts';
import { limits } from '../../base/limits.ts';
import type { Method } from '../../peer/peer.ts';

/** The largest piece of a value in one message. */
export const partBytesMax = 1024 * 1024;
export const uploadsMax = 16;

const key = bytes(limits.keyBytesMax);
const store = bytes(256);

/** Names the store when a door serves several: `owner/name` in UTF-8; empty means the only one. */
export interface InStore {
  store: Bytes;
}

export const kvGet: Method<
  InStore & { key: Bytes; version: number | undefined; offset: number },
  { version: number; size: number; part: Bytes }
> = {
  name: 'kv.get',
  request: struct({ store, key, version: optional(u64), offset: u32 }),
  response: struct({ version: u64, size: u32, part: attachment(partBytesMax) }),
  right: 'member',
};

/** A part of a value to come; parts of one upload arrive in order. */
export const kvUpload: Method<{ upload: number; offset: number; part: Bytes }, Record<string, never>> = {
  name: 'kv.upload',
  request: struct({ upload: u32, offset: u32, part: attachment(partBytesMax) }),
  response: empty,
  right: 'write',
};

/** With `upload`, the value is what was uploaded under that number, followed by `value`. */
export const kvPut: Method<
  InStore & { key: Bytes; value: Bytes; upload: number | undefined; ifAbsent: boolean; ifVersion: number | undefined },
  { version: number }
> = {
  name: 'kv.put',
  request: struct({
    store,
    key,
    value: attachment(partBytesMax),
    upload: optional(u32),
    ifAbsent: bool,
    ifVersion: optional(u64),
  }),
  response: struct({ version: u64 }),
  right: 'write',
};

export const kvDelete: Method<InStore & { key: Bytes; ifVersion: number | undefined }, { existed: boolean }> = {
  name: 'kv.delete',
  request: struct({ store, key, ifVersion: optional(u64) }),
  response: struct({ existed: bool }),
  right: 'write',
};

export const kvList: Method<
  InStore & { prefix: Bytes; startAfter: Bytes | undefined; limit: number },
  { entries: { key: Bytes; version: number; size: number }[]; truncated: boolean }
> = {
  name: 'kv.list',
  request: struct({ store, prefix: key, startAfter: optional(key), limit: u32 }),
  response: struct({ entries: list(struct({ key, version: u64, size: u32 }), limits.listKeysMax), truncated: bool }),
  right: 'member',
};

export interface WireChange {
  type: 'put' | 'delete';
  key: Bytes;
  version: number;
}
const change: Codec<WireChange> = struct({ type: oneOf(['put', 'delete']), key, version: u64 });
export const changesPerReplyMax = 256;

/** Opens a watch on this connection; changes from now on are kept for `kv.changes`. */
export const kvWatch: Method<InStore & { prefix: Bytes }, { watch: number }> = {
  name: 'kv.watch',
  request: struct({ store, prefix: key }),
  response: struct({ watch: u32 }),
  right: 'member',
};

/** Waits for changes up to about 5 s; an empty answer means none yet. */
export const kvChanges: Method<{ watch: number }, { changes: WireChange[] }> = {
  name: 'kv.changes',
  request: struct({ watch: u32 }),
  response: struct({ changes: list(change, changesPerReplyMax) }),
  right: 'member',
};

export const kvUnwatch: Method<{ watch: number }, Record<string, never>> = {
  name: 'kv.unwatch',
  request: struct({ watch: u32 }),
  response: empty,
  right: 'member',
};
