// What answers each request of the kernel: one line an opcode. What has no line is answered with ENOSYS, which the kernel remembers:
// ACCESS (it checks modes itself), COPY_FILE_RANGE, IOCTL, POLL, BMAP.

import * as attributes from './handlers-attributes.ts';
import * as data from './handlers-data.ts';
import * as extended from './handlers-extended.ts';
import * as listing from './handlers-listing.ts';
import * as locks from './handlers-locks.ts';
import * as names from './handlers-names.ts';
import type { Reply } from './replies.ts';
import * as requests from './requests.ts';
import type { Call, Serving } from './serving.ts';
import { opcodes } from './wire.ts';

/** Nothing is answered to what returns nothing. */
type Outcome = Promise<Reply> | Reply | undefined;

export interface Operation {
  /** Changes something: refused on a read-only mount. */
  readonly changes: boolean;
  /** May take for ever: no timeout ends it. */
  readonly waits?: boolean;
  /** Takes all it needs from the body before it returns. Throws, or rejects, what the answer shall tell. */
  start(serving: Serving, call: Call, body: requests.Body): Outcome;
}

function reads<T>(decode: requests.Decode<T>, handle: (s: Serving, c: Call, input: T) => Outcome): Operation {
  return { changes: false, start: (serving, call, body) => handle(serving, call, decode(body)) };
}

function changes<T>(decode: requests.Decode<T>, handle: (s: Serving, c: Call, input: T) => Outcome): Operation {
  return { ...reads(decode, handle), changes: true };
}

/** Nobody waits for an answer. */
function silent<T>(decode: requests.Decode<T>, handle: (s: Serving, c: Call, input: T) => void): Operation {
  return reads(decode, (serving, call, input) => {
    handle(serving, call, input);
    return undefined;
  });
}

const { decodeNothing } = requests;

export const operations: ReadonlyMap<number, Operation> = new Map([
  [opcodes.LOOKUP, reads(requests.decodeName, names.lookup)],
  [opcodes.FORGET, silent(requests.decodeForget, names.forget)],
  [opcodes.GETATTR, reads(decodeNothing, attributes.getAttributes)],
  [opcodes.SETATTR, changes(requests.decodeSetAttributes, attributes.setAttributes)],
  [opcodes.READLINK, reads(decodeNothing, names.readLink)],
  [opcodes.SYMLINK, changes(requests.decodeSymlink, names.makeSymlink)],
  [opcodes.MKNOD, changes(requests.decodeNewNode, names.makeNode)],
  [opcodes.MKDIR, changes(requests.decodeNewDirectory, names.makeNode)],
  [opcodes.UNLINK, changes(requests.decodeName, names.unlink)],
  [opcodes.RMDIR, changes(requests.decodeName, names.removeDirectory)],
  [opcodes.RENAME, changes(requests.decodeRename, names.rename)],
  [opcodes.RENAME2, changes(requests.decodeRename2, names.rename)],
  [opcodes.LINK, changes(requests.decodeLink, names.link)],
  [opcodes.OPEN, reads(requests.decodeOpen, data.open)],
  [opcodes.READ, reads(requests.decodeRead, data.read)],
  [opcodes.WRITE, changes(requests.decodeWrite, data.write)],
  [opcodes.STATFS, reads(decodeNothing, attributes.usage)],
  [opcodes.RELEASE, reads(requests.decodeRelease, data.release)],
  [opcodes.FSYNC, reads(decodeNothing, data.sync)],
  [opcodes.SETXATTR, changes(requests.decodeSetExtended, extended.setExtended)],
  [opcodes.GETXATTR, reads(requests.decodeGetExtended, extended.getExtended)],
  [opcodes.LISTXATTR, reads(requests.decodeRoom, extended.listExtended)],
  [opcodes.REMOVEXATTR, changes(requests.decodeExtendedName, extended.removeExtended)],
  [opcodes.FLUSH, reads(requests.decodeFlush, data.flush)],
  [opcodes.OPENDIR, reads(decodeNothing, listing.openDirectory)],
  [opcodes.READDIR, reads(requests.decodeListing, listing.list)],
  [opcodes.RELEASEDIR, reads(decodeNothing, listing.closeDirectory)],
  [opcodes.FSYNCDIR, reads(decodeNothing, data.sync)],
  [opcodes.GETLK, reads(requests.decodeLock, locks.testLock)],
  [opcodes.SETLK, reads(requests.decodeLock, locks.lockNow)],
  [opcodes.SETLKW, { ...reads(requests.decodeLock, locks.lockWaiting), waits: true }],
  [opcodes.CREATE, changes(requests.decodeCreate, data.create)],
  [opcodes.BATCH_FORGET, silent(requests.decodeBatchForget, names.forgetMany)],
  [opcodes.FALLOCATE, changes(requests.decodeAllocation, data.allocate)],
  [opcodes.READDIRPLUS, reads(requests.decodeListing, listing.listWithAttributes)],
  [opcodes.LSEEK, reads(requests.decodeSeek, data.seek)],
  [opcodes.SYNCFS, reads(decodeNothing, data.syncAll)],
  [opcodes.TMPFILE, changes(requests.decodeUnnamed, data.createUnnamed)],
  [opcodes.STATX, reads(decodeNothing, attributes.getExtendedAttributes)],
]);
