// The first operation on a new volume: its root directory.

import type { Runtime } from '../../runtime/runtime.ts';
import type { Tree } from '../../tree/tree.ts';
import type { Attributes } from './files.ts';
import { attributesReply } from './messages.ts';
import { Requests } from './requests.ts';
import { FileTimes } from './times.ts';

export interface NewVolume {
  mode: number;
  uid: number;
  gid: number;
  /** Rights all that is made has besides its own. */
  defaultMode?: number;
  /** Bytes; 0 for none. */
  quota?: number;
}

/** Makes the root directory of a new tree; durable. Answers what is there when it was made before. */
export async function beginFiles(tree: Tree, runtime: Pick<Runtime, 'clock'>, volume: NewVolume): Promise<Attributes> {
  const { mode, uid, gid, defaultMode = 0, quota = 0 } = volume;
  const now = new FileTimes(runtime.clock).now();
  const operation = { type: 'begin', mode, uid, gid, defaultMode, quota, now } as const;
  return Requests.durably(tree, operation, attributesReply);
}
