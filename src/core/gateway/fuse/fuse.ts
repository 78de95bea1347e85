// Contract of the FUSE gateway: a files view as a mounted file system of the Linux kernel. Nothing of libfuse is used.

import type { Runtime } from '../../runtime/runtime.ts';
import type { Files } from '../../volume/files/files.ts';

export interface MountOptions {
  runtime: Runtime;
  files: Files;
  /** An empty directory; made when missing, and then removed after unmounting. */
  mountpoint: string;
  /** What `mount` shows as the source. */
  name: string;
  readOnly: boolean;
  /** Words for the kernel and for us, as in `-o`: `allow_other`, `noatime`, `timeout=S`... Throws `usage` for unknown ones. */
  fuseOptions: readonly string[];
  /** Other users' permission bits follow the group's (for volumes shared with people of other numeric ids). */
  mapOtherPermissions: boolean;
}

export interface Mounted {
  readonly mountpoint: string;
  /** Everything written is synced, then the kernel lets go. `busy` while files are open, unless `lazy`: then it detaches at once. */
  unmount(options?: { lazy?: boolean }): Promise<void>;
  /** Resolves when the mount is gone, by `unmount`, by another's `umount`, or because the kernel aborted the connection. */
  readonly ended: Promise<void>;
}
