// Messages of the ring (protocols 1.2; docs/formats-ring.md). Ids travel as 32 bytes and become hexadecimal names here; the
// point of an entry is computed, never believed.

import { bool, type Codec, empty, list, mapped, optional, struct, u8, union } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Method } from '../../peer/peer.ts';
import { held, name } from '../messages.ts';
import { type Entry, entryOf, type NodeName } from '../ring.ts';
import { closerMax } from './answers.ts';
import type { Answers, Requests } from './calls.ts';

const index: Codec<number> = mapped(
  u8,
  (value) => {
    if (value >= limits.chordPositionsMax) throw new InfinitError('corrupt', 'position index is above the limit');
    return value;
  },
  (value) => value,
);

const entry: Codec<Entry> = mapped(
  struct({ index, node: name }),
  (value) => entryOf(value.node, value.index),
  (value) => value,
);
/** One longer than a list: an answer may end with the answering position itself. */
const entries = list(entry, limits.listPositionsMax + 1);
const perPosition = limits.chordPositionsMax * 2;

const findAnswer = union({
  owners: struct({ after: entry, entries }),
  closer: struct({ entries: list(entry, closerMax), behind: entries }),
});

/** What positions hold; asked before anything of it is adopted. */
export const ringState: Method<Requests['state'], Answers['state']> = {
  name: 'ring.state',
  right: 'storage',
  request: struct({ items: list(struct({ target: index, held }), perPosition) }),
  response: struct({
    items: list(optional(struct({ list: optional(entries), pred: optional(entry) })), perPosition),
    known: list(name, 2),
    leaving: bool,
  }) as Codec<Answers['state']>,
};

/** `from` believes to precede `target`; or, `changed`, to be its first successor with a new list. */
export const ringNotify: Method<Requests['notify'], Answers['notify']> = {
  name: 'ring.notify',
  right: 'storage',
  request: struct({
    items: list(struct({ from: index, target: index, changed: bool }), limits.chordPositionsMax ** 2),
  }),
  response: empty,
};

export const ringFind: Method<Requests['find'], Answers['find']> = {
  name: 'ring.find',
  right: 'member',
  request: struct({ keys: list(name, limits.chordPositionsMax), strict: bool, want: u8 }),
  response: struct({ answers: list(optional(findAnswer), limits.chordPositionsMax) }) as Codec<Answers['find']>,
};

/** `drained`: for good; the sender's record says so too. */
export const ringLeave: Method<Requests['leave'], Answers['leave']> = {
  name: 'ring.leave',
  right: 'storage',
  request: struct({
    positions: list(struct({ self: entry, list: entries, pred: optional(entry) }), limits.chordPositionsMax),
    drained: bool,
  }) as Codec<Requests['leave']>,
  response: empty,
};

/** Positions named in an answer or request, for learning who they are. */
export function nodesOf(values: readonly (readonly (Entry | undefined)[])[]): NodeName[] {
  return [...new Set(values.flat().flatMap((each) => (each ? [each.node] : [])))];
}
