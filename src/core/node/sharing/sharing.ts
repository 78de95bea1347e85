// What a volume's attributes say and do beside its files: how it is shared, and groups. As long as its owner has it open, it follows
// the groups it is shared with.

import type { Abortable } from '../../base/lifecycle.ts';
import { adminsOf } from '../../descriptor/admins.ts';
import { type Work, Worker } from '../../store/worker.ts';
import type { Tree } from '../../tree/tree.ts';
import type { SpecialAttributes } from '../../volume/files/special.ts';
import type { LinkedNode } from '../link.ts';
import { GroupAttributes } from './group-attributes.ts';
import { Groups } from './groups.ts';
import type { People } from './people.ts';
import { Registry } from './registry.ts';
import { type ListsWithin, VolumeSharing } from './volume-sharing.ts';

/** How long a change of a group takes at most to hold for a volume. */
const followPeriodMs = 10_000;

export interface SharingService {
  attributes: SpecialAttributes;
  volume: VolumeSharing;
  stop(): Promise<void>;
}

/** `follows`: this process shares the tree anew when groups change; its owner's that may write does. */
export function serveSharing(
  { node, user }: LinkedNode,
  tree: Tree,
  { people, follows, lists }: { people: People; follows: boolean; lists: ListsWithin },
): SharingService {
  const groups = new Groups(node, user);
  const admins = () => adminsOf(node.network());
  const registry = new Registry({ register: node.networkRegister, user, people });
  const volume = new VolumeSharing({ tree, user, people, groups, admins, registry, lists });
  const counters = { changes: 0 };
  const work: Work = {
    name: 'groups',
    counters,
    async step(signal) {
      if (await volume.follow({ signal })) counters.changes++;
      return false;
    },
  };
  const worker = new Worker(work, node.runtime, followPeriodMs);
  if (follows) {
    node.workers.push(worker);
    worker.wake();
  }
  const members = new GroupAttributes({ groups, user, people, registry, changed: () => follows && worker.wake() });
  const of = (name: string): SpecialAttributes => {
    if (/^groups?\./.test(name)) return members;
    return /^re(gister|solve)\./.test(name) ? registry : volume;
  };
  return {
    volume,
    attributes: {
      get: (inode: number, name: string, options?: Abortable) => of(name).get(inode, name, options),
      set: (inode, name, value, options) => of(name).set(inode, name, value, options),
    },
    stop: async () => {
      await worker.stop();
      const at = node.workers.indexOf(worker);
      if (at >= 0) node.workers.splice(at, 1);
    },
  };
}
