// Sizes and durations as people write them (`2.5GiB`, `10min`), and back.

import { InfinitError } from '../base/errors.ts';

const decimal = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };
const byteUnits: Readonly<Record<string, number>> = {
  ...lowerCase(decimal),
  ...lowerCase({ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }),
};
const timeUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  sec: 1000,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A whole number of bytes: a number and a unit (kB is 1000, KiB 1024; case does not matter), or a bare number. */
export function parseBytes(text: string): number {
  const value = parseQuantity(text, byteUnits, 'B');
  if (value !== undefined) return Math.floor(value);
  throw new InfinitError('usage', `invalid capacity: ${text}`, {
    hint: 'write a number and B, kB, KiB, MB, MiB, GB, GiB, TB or TiB',
  });
}

/** Milliseconds: a number and ms, s, min, h or d; a bare number is seconds. */
export function parseDuration(text: string): number {
  const value = parseQuantity(text, timeUnits, 's');
  if (value !== undefined) return Math.round(value);
  throw new InfinitError('usage', `invalid duration: ${text}`, { hint: 'write a number and ms, s, min, h or d' });
}

/** A whole number within bounds, written in digits. */
export function parseInteger(name: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InfinitError('usage', `invalid ${name}: ${text}`, { hint: `a whole number from ${min} to ${max}` });
  };
}

/** Decimal units, up to two digits behind the point: `50 GB`, `1.5 MB`. */
export function formatBytes(bytes: number): string {
  const [unit, size] = Object.entries(decimal).findLast(([, scale]) => bytes >= scale) ?? ['B', 1];
  return `${Number((bytes / size).toFixed(2))} ${unit}`;
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>, bare: string): number | undefined {
  const [, digits = '', unit = ''] = /^(\d{1,15}(?:\.\d{1,9})?) ?([a-zA-Z]*)$/.exec(text.trim()) ?? [];
  const key = (unit || bare).toLowerCase();
  const scale = Object.hasOwn(units, key) ? units[key] : undefined;
  if (digits === '' || scale === undefined) return undefined;
  const value = Number(digits) * scale;
  return value <= Number.MAX_SAFE_INTEGER ? value : undefined;
}

function lowerCase(table: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(table).map(([unit, size]) => [unit.toLowerCase(), size]));
}
