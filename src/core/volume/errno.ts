// Errors as the numbers of errno.h, by one total table over reasons and kinds. Numbers are Linux's.

import { asError, type ErrorKind } from '../base/errors.ts';
import { type FileReason, reasonOf } from './files/files.ts';

export const errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EAGAIN: 11,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ENODATA: 61,
  EOPNOTSUPP: 95,
  ESTALE: 116,
  E2BIG: 7,
} as const;
export type ErrnoName = keyof typeof errno;

const byKind: Readonly<Record<ErrorKind, ErrnoName>> = {
  usage: 'EINVAL',
  'not-found': 'ENOENT',
  exists: 'EEXIST',
  denied: 'EACCES',
  conflict: 'EAGAIN',
  unavailable: 'EIO',
  corrupt: 'EIO',
  full: 'ENOSPC',
  unsupported: 'EOPNOTSUPP',
  cancelled: 'EINTR',
  lost: 'EIO',
  internal: 'EIO',
};

const byReason: Readonly<Record<FileReason, ErrnoName>> = {
  stale: 'ESTALE',
  'not-directory': 'ENOTDIR',
  'is-directory': 'EISDIR',
  'not-empty': 'ENOTEMPTY',
  'name-too-long': 'ENAMETOOLONG',
  invalid: 'EINVAL',
  'not-permitted': 'EPERM',
  'cross-device': 'EXDEV',
  elsewhere: 'EXDEV',
  'too-many-links': 'EMLINK',
  'too-large': 'EFBIG',
  'no-attribute': 'ENODATA',
  'attribute-too-large': 'E2BIG',
  'no-such-place': 'ENXIO',
  'read-only': 'EROFS',
  busy: 'EBUSY',
  deadlock: 'EDEADLK',
  'no-locks': 'ENOLCK',
  'lock-lost': 'EIO',
  changed: 'EBUSY',
  gone: 'ESTALE',
};

/** The name of the number any thrown value maps to. */
export function errnoNameOf(cause: unknown): ErrnoName {
  const error = asError(cause);
  const reason = reasonOf(error);
  return reason === undefined ? byKind[error.kind] : byReason[reason];
}

/** The positive number any thrown value maps to. */
export function errnoOf(cause: unknown): number {
  return errno[errnoNameOf(cause)];
}
