// Canonical JSON: the one byte string that stands for a JSON value, so that it can be signed and hashed. Keys are sorted by
// their UTF-16 code units, there is no white space, strings are escaped as JSON.stringify does, numbers are safe integers,
// and undefined fields do not exist. What has no canonical form is refused.

import { utf8 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';

const depthMax = 16;
const loneSurrogate = /\p{Cs}/u;

/** UTF-8 bytes of the canonical form. Throws `corrupt` for values that have none. */
export function canonicalJson(value: unknown): Buffer {
  return utf8(write(value, 0));
}

function write(value: unknown, depth: number): string {
  if (depth > depthMax) throw refuse('nested too deep');
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw refuse(`${value} is not a safe integer`);
    return String(value);
  }
  if (typeof value === 'string') {
    if (loneSurrogate.test(value)) throw refuse('text is not well-formed Unicode');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(',')}]`;
  if (typeof value !== 'object') throw refuse(`a ${typeof value} is not JSON`);
  const fields = value as Record<string, unknown>;
  const keys = Object.keys(fields).filter((key) => fields[key] !== undefined);
  return `{${keys
    .sort()
    .map((key) => `${write(key, depth + 1)}:${write(fields[key], depth + 1)}`)
    .join(',')}}`;
}

function refuse(what: string): InfinitError {
  return new InfinitError('corrupt', `no canonical JSON: ${what}`);
}
