// A tree with a journal of its own as views use it: what it can do without the network it does here, everything else is the network's
// tree's, behind all that waits, and fails while that is not reached.

import type { Bytes } from '../../base/bytes.ts';
import { OwnLocks } from '../locks/own-locks.ts';
import type { DoOptions, Tree, TreeLocks } from '../tree.ts';
import type { AsyncTree } from './async-tree.ts';
import type { Sender } from './sender.ts';

/** Never leads as views see it: what they do in the background of a leader is done on the network's tree. */
export function asTree(own: AsyncTree, sender: Pick<Sender, 'drain'>, treeId: Tree['treeId']): Tree {
  const doInNetwork = async (operation: Bytes, options: DoOptions | undefined) => {
    await sender.drain(options);
    const reply = await own.reached().do(operation, options);
    own.known.age();
    return reply;
  };
  const ownLocks = new OwnLocks();
  // What is not about one thing is about all, and locked among all; the rest among the users of this mount.
  const locksOf = (resource: number) => (resource === 0 ? own.reached().locks : ownLocks);
  const locks: TreeLocks = {
    lock: (place, range, options) => locksOf(place.resource).lock(place, range, options),
    unlock: (place, span) => locksOf(place.resource).unlock(place, span),
    test: (place, range, options) => locksOf(place.resource).test(place, range, options),
    holds: (place) => locksOf(place.resource).holds(place),
    isLost: (resource) => locksOf(resource).isLost(resource),
    guardOf: (resource) => locksOf(resource).guardOf(resource),
    onLost: () => ownLocks.onLost(),
  };
  const idle = { role: 'none', epoch: 0, leader: undefined, sequence: 0, applied: 0, memtableBytes: 0 } as const;
  return {
    treeId,
    locks,
    losses: 0,
    // A guard is of a lock among all.
    do: (operation, options) =>
      options?.guard === undefined && own.comesLate(operation)
        ? own.do(operation, options)
        : doInNetwork(operation, options),
    query: (query) => own.query(query),
    writeChunks: (cells, options) => own.writeChunks(cells, options),
    readCells: (chunk, first, count, options) => own.readCells(chunk, first, count, options),
    sync: () => own.sync(),
    commit: () => own.sync(),
    onChange: () => () => {},
    leaseMs: () => 0,
    alone: () => false,
    status: () => ({ ...(own.remote?.status() ?? { ...idle, journalBytes: 0, height: 0 }), role: 'follower' }),
    collect: (begin) => own.reached().collect(begin),
    access: (options) => own.reached().access(options),
    share: (change, options) => own.reached().share(change, options),
    get garbage() {
      return own.reached().garbage;
    },
    get resealing() {
      return own.reached().resealing;
    },
    start: async () => {},
    stop: async () => {},
  };
}
