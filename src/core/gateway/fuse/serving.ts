// What all handlers share: the files they serve, what the kernel knows of them, and for how long it may believe an answer.

import type { Bytes } from '../../base/bytes.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { Clock, Log } from '../../runtime/runtime.ts';
import type { Attributes, Files } from '../../volume/files/files.ts';
import { LockOwners } from './lock-owners.ts';
import { Nodes, OpenFiles } from './nodes.ts';
import { entryReply, type Reply, type Shown } from './replies.ts';

/** One request under way. */
export interface Call {
  /** What the kernel knows the inode by. */
  readonly node: number;
  readonly inode: number;
  readonly uid: number;
  readonly gid: number;
  /** Fires when the kernel's caller gives up, or its time is over. */
  readonly signal: AbortSignal;
  /** How many foreign changes were told when it began. */
  readonly changesBefore: number;
}

export interface ServingOptions {
  files: Files;
  clock: Clock;
  log: Log;
  readOnly: boolean;
  /** Of who mounted: what acts in his name is taken from him and from root only. */
  ownUid: number;
  mapOthers: boolean;
  metrics?: Metrics | undefined;
}

export class Serving {
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Log;
  readonly readOnly: boolean;
  readonly ownUid: number;
  readonly metrics: Metrics | undefined;
  readonly nodes = new Nodes();
  readonly open = new OpenFiles();
  readonly owners = new LockOwners();
  /** Foreign changes told so far. */
  changes = 0;
  /** Those the kernel is being told of. */
  telling = 0;
  /** Makes the kernel ask for attributes again that changed without its asking. Set by who can tell it. */
  forgetAttributes: (inode: number) => Promise<void> = async () => {};
  /** The kernel changed a directory, or names in it: if it knows it by other nodes too, it is told there. Set by who can tell it. */
  changedHere: (directory: number, node: number, ...names: readonly Bytes[]) => void = () => {};
  private readonly mapOthers: boolean;
  private distrustedUntil = Number.NEGATIVE_INFINITY;

  constructor(options: ServingOptions) {
    this.files = options.files;
    this.clock = options.clock;
    this.log = options.log;
    this.readOnly = options.readOnly;
    this.ownUid = options.ownUid;
    this.metrics = options.metrics;
    this.mapOthers = options.mapOthers;
  }

  /** How an answer may be cached: not at all when a foreign change was told meanwhile, because it may be older than that. */
  shown(call: Call): Shown {
    return { validMs: this.validMs(call), mapOthers: this.mapOthers };
  }

  validMs(call: Call): number {
    if (call.changesBefore !== this.changes || this.telling > 0 || this.clock.monotonic() < this.distrustedUntil)
      return 0;
    if (this.nodes.hasSeveral(call.inode)) return 0;
    return Math.max(0, this.files.freshForMs(call.inode));
  }

  /** The kernel did not hear of a change in time: nothing is cached for a while. */
  distrust(timeMs: number): void {
    this.distrustedUntil = this.clock.monotonic() + timeMs;
  }

  /** Answers with what a name stands for, which the kernel then knows. */
  entry(call: Call, name: Bytes, attributes: Attributes): Reply {
    const { node, shown } = this.told(call, name, attributes);
    return entryReply(node, attributes, shown);
  }

  /** The kernel is about to be told what the name stands for, and that it shall know it by the node. */
  told(call: Call, name: Bytes, { inode, type }: Attributes): { node: number; shown: Shown } {
    const shown = this.shown(call);
    const place = { directory: call.node, name };
    const node = this.nodes.addFound(place, inode, type, shown.validMs > 0);
    const validMs = this.nodes.hasSeveral(inode) ? 0 : Math.min(shown.validMs, this.files.freshForMs(inode));
    return { node, shown: { ...shown, validMs } };
  }
}
