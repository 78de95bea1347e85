// Messages of Kouncil beside those of every overlay (protocols 1.6; docs/formats-ring.md): how two tables of node records find
// where they differ, how news of records spreads, and how clients hear who is not there.

import { type Codec, empty, list, mapped, optional, struct, text, u64, union } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Method } from '../../peer/peer.ts';
import { digest, held, liveness, name, type Standing, standing } from '../messages.ts';
import type { Liveness } from '../overlay.ts';
import type { NodeName } from '../ring.ts';
import { type Branch, leavesMax } from './hash-tree.ts';

export const prefixDigitsMax = 16;
const hexadecimal = /^[0-9a-f]*$/;

const prefix: Codec<string> = mapped(
  text(prefixDigitsMax),
  (value) => {
    if (!hexadecimal.test(value)) throw new InfinitError('corrupt', 'a branch is named by hexadecimal digits');
    return value;
  },
  (value) => value,
);

const leaf = struct({ node: name, serial: u64, mark: digest });
const branch = union({
  same: struct({}),
  children: struct({ digests: list(digest, 16) }),
  leaves: struct({ leaves: list(leaf, leavesMax) }),
});

export interface CompareRequest {
  items: { prefix: string; digest: string }[];
}

/** What of the named branches of the hash tree is another than the asker has. */
export const ringCompare: Method<CompareRequest, { items: Branch[] }> = {
  name: 'ring.compare',
  right: 'member',
  request: struct({ items: list(struct({ prefix, digest }), limits.compareBranchesMax) }),
  response: struct({ items: list(branch, limits.compareBranchesMax) }) as Codec<{ items: Branch[] }>,
};

/** Node records the receiver may lack. */
export const ringTell: Method<{ known: Standing[] }, Record<string, never>> = {
  name: 'ring.tell',
  right: 'storage',
  request: struct({ known: list(standing, limits.recordsToldMax) }),
  response: empty,
};

export interface Absent {
  node: NodeName;
  liveness: Liveness;
}

/** For clients: of all whose records are known, those not alive; undefined when they are what the asker holds. */
export const ringAbsent: Method<{ held: string }, { digest: string; absent: Absent[] | undefined }> = {
  name: 'ring.absent',
  right: 'member',
  request: struct({ held }),
  response: struct({
    digest,
    absent: optional(list(struct({ node: name, liveness }), limits.nodeRecordsMax)),
  }),
};
