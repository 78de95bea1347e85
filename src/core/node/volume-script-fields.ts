// Fields of requests and answers of `volume run --script`, checked: what is missing or of another type is `invalid`.

import { asBuffer, type Bytes, utf8 } from '../base/bytes.ts';
import { type FileTime, fileError } from '../volume/files/files.ts';

export type Request = Record<string, unknown>;
export type Answer = Record<string, unknown>;

export function isHandle(value: unknown): value is string | number {
  return typeof value === 'number' || (typeof value === 'string' && value.length <= 256);
}

export function text(request: Request, field: string, charsMax = 64 * 1024): string {
  const value = request[field];
  if (typeof value !== 'string') throw fileError('invalid', `${field}: expected a text`);
  if (value.length > charsMax) throw fileError('name-too-long', `${field}: more than ${charsMax} characters`);
  return value;
}

export function number(request: Request, field: string, absent?: number): number {
  const value = request[field] ?? absent;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw fileError('invalid', `${field}: expected a number`);
  return value;
}

export function size(request: Request): number {
  return number(request, 'size');
}

export function time(request: Request, field: string): FileTime | 'now' {
  const value = request[field];
  if (value === undefined) return 'now';
  const isWhole = typeof value === 'number' ? Number.isInteger(value) : /^-?\d{1,24}$/.test(String(value));
  if (!isWhole) throw fileError('invalid', `${field}: expected nanoseconds`);
  const nanoseconds = BigInt(value as number | string);
  const rest = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: Number((nanoseconds - rest) / 1_000_000_000n), nanoseconds: Number(rest) };
}

export function timeFields(name: string, { seconds, nanoseconds }: FileTime): Answer {
  return { [`st_${name}`]: seconds, [`st_${name}_nsec`]: nanoseconds };
}

/** Throws for bytes that are no UTF-8: JSON cannot carry them. */
export function textOf(bytes: Bytes): string {
  const decoded = asBuffer(bytes).toString('utf8');
  if (utf8(decoded).equals(bytes)) return decoded;
  throw fileError('invalid', 'it is not text');
}
