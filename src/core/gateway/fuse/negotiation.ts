// The first request: what the kernel offers, and what of it is asked for. No write-back cache: with it the kernel would own size
// and time of a file, against what other clients do. Locks are asked for where they can be kept: not on read-only mounts, whose kernel
// keeps them itself.

import { limits } from '../../base/limits.ts';
import { type InitAnswer, initReply } from './replies.ts';
import type { Init } from './requests.ts';
import { initFlags, protocolMajor, protocolMinor, protocolMinorMin } from './wire.ts';

const wanted = Object.values(initFlags).reduce((all, flag) => all | flag, 0);
const lockFlags = initFlags.POSIX_LOCKS | initFlags.FLOCK_LOCKS;
/** What a request holds at most when the kernel cannot be told otherwise. */
const dataBytesWithoutPages = 128 * 1024;
/** Only counts pages; the bytes of a read are limited by an option of the mount. */
const pageBytes = 4096;

/** The answer; undefined for a kernel that is too old. */
export function negotiate(init: Init, locks = true): { reply: Buffer; done: boolean } | undefined {
  if (init.major < protocolMajor || (init.major === protocolMajor && init.minor < protocolMinorMin)) return undefined;
  const flags = init.flags & (locks ? wanted : wanted & ~lockFlags);
  const answer: InitAnswer = {
    minor: Math.min(init.minor, protocolMinor),
    readAheadBytesMax: Math.min(init.readAheadBytesMax, limits.fuseDataBytesMax),
    flags,
    backgroundMax: limits.fuseBackgroundMax,
    writeBytesMax: (flags & initFlags.MAX_PAGES) !== 0 ? limits.fuseDataBytesMax : dataBytesWithoutPages,
    pageBytes,
  };
  // A kernel of a later major version asks again in ours.
  return { reply: initReply(answer), done: init.major === protocolMajor };
}
