// What all handlers share: the files they serve, what the kernel knows of them, and for how long it may believe an answer.

import type { Bytes } from '../../base/bytes.ts';
import type { Clock, Log } from '../../runtime/runtime.ts';
import type { Attributes, EntryPlace, Files } from '../../volume/files/files.ts';
import { Nodes, OpenFiles } from './nodes.ts';
import { entryReply, type Reply, type Shown } from './replies.ts';

/** One request under way. */
export interface Call {
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
  mapOthers: boolean;
}

export class Serving {
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Log;
  readonly readOnly: boolean;
  readonly nodes = new Nodes();
  readonly open = new OpenFiles();
  /** Foreign changes told so far. */
  changes = 0;
  /** Those the kernel is being told of. */
  telling = 0;
  /** Makes the kernel ask for attributes again that changed without its asking. Set by who can tell it. */
  forgetAttributes: (inode: number) => Promise<void> = async () => {};
  /** Makes the kernel let go of names a directory had, and waits a little until it has. Set by who can tell it. */
  forgetNames: (directory: number, places: readonly EntryPlace[]) => Promise<void> = async () => {};
  private readonly mapOthers: boolean;
  private distrustedUntil = Number.NEGATIVE_INFINITY;

  constructor(options: ServingOptions) {
    this.files = options.files;
    this.clock = options.clock;
    this.log = options.log;
    this.readOnly = options.readOnly;
    this.mapOthers = options.mapOthers;
  }

  /** How an answer may be cached: not at all when a foreign change was told meanwhile, because it may be older than that. */
  shown(call: Call): Shown {
    return { validMs: this.validMs(call), mapOthers: this.mapOthers };
  }

  validMs(call: Call): number {
    if (call.changesBefore !== this.changes || this.telling > 0 || this.clock.monotonic() < this.distrustedUntil)
      return 0;
    return Math.max(0, this.files.freshForMs());
  }

  /** The kernel did not hear of a change in time: nothing is cached for a while. */
  distrust(timeMs: number): void {
    this.distrustedUntil = this.clock.monotonic() + timeMs;
  }

  /** Answers with the inode of a name, which the kernel then knows. */
  entry(call: Call, name: Bytes, attributes: Attributes): Reply {
    return entryReply(attributes, this.told(call, name, attributes));
  }

  /**
   * The same for a name just looked up. A directory has one place in the kernel: found at another, because somebody else moved it, it
   * is taken there, but not by the lookup of a rename between directories, which fails (ESTALE) unless the old place is left before.
   */
  async found(call: Call, name: Bytes, attributes: Attributes): Promise<Reply> {
    const { inode, type } = attributes;
    if (type === 'directory')
      await this.forgetNames(inode, this.nodes.takeOtherNames(inode, { directory: call.inode, name }));
    return this.entry(call, name, attributes);
  }

  /** The kernel is about to be told that the name stands for the inode. */
  told(call: Call, name: Bytes, { inode, type }: Attributes): Shown {
    const shown = this.shown(call);
    this.nodes.add(inode);
    // What it may not cache it asks for again; but directories keep their place.
    if (shown.validMs > 0 || type === 'directory') this.nodes.addName(call.inode, name, inode);
    return shown;
  }
}
