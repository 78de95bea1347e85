// A tree with a journal of its own as views use it: what it can do without the network it does here, everything else is the network's
// tree's, and fails while that is not reached.

import type { Tree, TreeLocks } from '../tree.ts';
import type { AsyncTree } from './async-tree.ts';

/** Nothing is locked among clients: the kernel of each mount keeps its own locks. */
const noLocks: TreeLocks = {
  lock: async () => {},
  unlock: async () => {},
  test: async () => undefined,
  holds: () => false,
  isLost: () => false,
  guardOf: () => undefined,
  onLost: () => () => {},
};

/** Never leads as views see it: what they do in the background of a leader is done on the network's tree. */
export function asTree(own: AsyncTree, treeId: Tree['treeId']): Tree {
  const idle = { role: 'none', epoch: 0, leader: undefined, sequence: 0, applied: 0, memtableBytes: 0 } as const;
  return {
    treeId,
    locks: noLocks,
    losses: 0,
    do: (operation, options) => own.do(operation, options),
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
