// What kind of error a status of a refusal is, to whoever asked.

import type { ErrorKind } from '../base/errors.ts';

const kinds: Readonly<Record<number, ErrorKind>> = {
  400: 'usage',
  401: 'denied',
  402: 'full',
  403: 'denied',
  404: 'not-found',
  405: 'unsupported',
  409: 'exists',
  410: 'not-found',
  413: 'full',
  415: 'unsupported',
  422: 'corrupt',
  429: 'unavailable',
};

export function kindOf(status: number): ErrorKind {
  return kinds[status] ?? 'unavailable';
}
