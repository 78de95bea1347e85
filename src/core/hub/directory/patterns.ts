// Names of users made from entries of a directory by a pattern: `$(cn)` stands for an attribute, `%` for a number where a name is
// taken already.

import { isName } from '../../descriptor/names.ts';
import { type Entry, valuesOf } from './directory.ts';

const reference = /\$\(([A-Za-z][A-Za-z0-9-]*)\)/g;

/** Attributes a pattern asks for. */
export function attributesOf(...patterns: readonly string[]): string[] {
  return patterns.flatMap((pattern) => [...pattern.matchAll(reference)].map(([, name]) => name as string));
}

/** The text of a pattern for an entry; undefined when it lacks an attribute. */
export function expand(pattern: string, entry: Entry): string | undefined {
  let isWhole = true;
  const text = pattern.replace(reference, (_, attribute: string) => {
    const [value] = valuesOf(entry, attribute);
    isWhole &&= value !== undefined;
    return value ?? '';
  });
  return isWhole ? text : undefined;
}

/** The name that is tried after `taken` others; undefined when there is none (any more). */
export function nameFor(pattern: string, entry: Entry, taken: number): string | undefined {
  if (taken > 0 && !pattern.includes('%')) return undefined;
  const number = taken === 0 ? '' : String(taken);
  // The number is put in before values are, which may hold a % themselves.
  const text = expand(pattern.replaceAll('%', number), entry);
  return text === undefined ? undefined : asName(text);
}

/** `Alice Liddell` as `alice.liddell`; undefined when no name is left. */
export function asName(text: string): string | undefined {
  const name = text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '.')
    .replace(/^\.+|\.+$/g, '');
  return isName(name) ? name : undefined;
}
