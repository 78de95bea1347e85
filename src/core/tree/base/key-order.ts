// The order of tree keys (byte strings) and what follows from it. Keys are short, so plain loops beat calls into the runtime.

import type { Bytes } from '../../base/bytes.ts';

/** Negative, zero or positive. */
export function compareKeys(a: Bytes, b: Bytes): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Length of the longest common prefix. */
export function commonPrefix(a: Bytes, b: Bytes): number {
  const length = Math.min(a.length, b.length);
  let i = 0;
  while (i < length && a[i] === b[i]) i++;
  return i;
}

/** The shortest prefix of `right` that is above `left`, for left < right. */
export function shortestSeparator(left: Bytes, right: Bytes): Bytes {
  return right.subarray(0, commonPrefix(left, right) + 1);
}

/** Index of the first key at or above `key` in an ascending list. */
export function lowerBound(keys: readonly Bytes[], key: Bytes): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(keys[middle] as Bytes, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
