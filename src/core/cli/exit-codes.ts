// Exit codes, by one total table over the kinds of error.

import type { ErrorKind } from '../base/errors.ts';

export const exitCodes: Readonly<Record<ErrorKind, 0 | 1 | 2>> = {
  usage: 2,
  'not-found': 1,
  exists: 1,
  denied: 1,
  conflict: 1,
  unavailable: 1,
  corrupt: 1,
  full: 1,
  unsupported: 1,
  cancelled: 1,
  lost: 1,
  internal: 1,
};
