// The one table from errno to kinds of errors, for everything that touches files.

import { type ErrorKind, InfinitError } from '../../base/errors.ts';

const kinds: Readonly<Record<string, ErrorKind>> = {
  ENOENT: 'not-found',
  ENOTDIR: 'not-found',
  EEXIST: 'exists',
  ENOTEMPTY: 'exists',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  ENOSPC: 'full',
  EDQUOT: 'full',
  EFBIG: 'full',
  EISDIR: 'usage',
  ENAMETOOLONG: 'usage',
  ELOOP: 'usage',
  ERR_INVALID_ARG_VALUE: 'usage',
};

const words: Readonly<Partial<Record<ErrorKind, string>>> = {
  'not-found': 'does not exist',
  exists: 'exists already',
  denied: 'permission denied',
  full: 'no space left on the device',
};

/** The errno name of a system error, else undefined. */
export function errnoOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** A system error about a path as ours; what is unknown is an I/O error, `unavailable`. */
export function fileError(error: unknown, path: string): InfinitError {
  if (error instanceof InfinitError) return error;
  const code = errnoOf(error);
  const kind = kinds[code ?? ''] ?? 'unavailable';
  const said = words[kind] ?? (error instanceof Error ? error.message : String(error));
  return new InfinitError(kind, `${path}: ${said}`, { cause: error, data: code === undefined ? {} : { code } });
}
