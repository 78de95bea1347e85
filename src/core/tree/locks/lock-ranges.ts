// Ranges one owner has locked: sorted, without overlaps, neighbours of one kind joined. Places are whole numbers up to 2^63, so
// they are BigInt; `to` is the first place behind a range.

import { InfinitError } from '../../base/errors.ts';
import { type LockRange, lockEnd, type Span } from '../tree.ts';

export function overlaps(a: Span, b: Span): boolean {
  return a.from < b.to && b.from < a.to;
}

/** Whether two owners cannot have both. */
export function excludes(a: LockRange, b: LockRange): boolean {
  return (a.mode === 'exclusive' || b.mode === 'exclusive') && overlaps(a, b);
}

/** The ranges without the span. */
export function without(ranges: readonly LockRange[], span: Span): LockRange[] {
  const left: LockRange[] = [];
  for (const range of ranges) {
    if (!overlaps(range, span)) {
      left.push(range);
      continue;
    }
    if (range.from < span.from) left.push({ ...range, to: span.from });
    if (range.to > span.to) left.push({ ...range, from: span.to });
  }
  return left;
}

/** The ranges with one laid over them. */
export function withRange(ranges: readonly LockRange[], added: LockRange): LockRange[] {
  const all = [...without(ranges, added), added].sort((a, b) => (a.from < b.from ? -1 : 1));
  const joined: LockRange[] = [];
  for (const range of all) {
    const last = joined.at(-1);
    if (last !== undefined && last.to === range.from && last.mode === range.mode && last.pid === range.pid)
      joined[joined.length - 1] = { ...last, to: range.to };
    else joined.push(range);
  }
  return joined;
}

/** Throws `usage` for a range nobody can lock. */
export function checkSpan({ from, to }: Span): void {
  if (from < 0n || to <= from || to > lockEnd) throw new InfinitError('usage', 'no such range');
}
