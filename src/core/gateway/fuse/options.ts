// Words of `-o`: those the kernel takes are passed on, those it does not know are ours, all others are refused. Set-user-id
// programs and device nodes count for nothing unless asked for, as in every FUSE mount.

import { InfinitError } from '../../base/errors.ts';

export interface FuseOptions {
  /** For `mount` and `fusermount3`. */
  words: string[];
  readOnly: boolean;
  allowOther: boolean;
  /** The mountpoint may hold files, which it then hides. */
  nonEmpty: boolean;
  /** After which a request fails; undefined leaves it to the volume. */
  timeoutMs: number | undefined;
}

/** Each with its opposite, the default first. */
const switches = [
  ['nosuid', 'suid'],
  ['nodev', 'dev'],
] as const;
const passed = new Set([
  ...['noexec', 'exec', 'noatime', 'atime', 'nodiratime', 'diratime', 'relatime', 'norelatime', 'strictatime'],
  ...['nostrictatime', 'sync', 'async', 'dirsync'],
]);
/** What always holds, or is the default. */
const granted = new Set(['default_permissions', 'rw', 'big_writes']);
const timeoutSecondsMax = 24 * 60 * 60;

export function parseFuseOptions(given: readonly string[], readOnly: boolean): FuseOptions {
  const words = given.flatMap((text) => text.split(',')).map((word) => word.trim());
  const options: FuseOptions = {
    words: switches.map(([usual, opposite]) => (words.includes(opposite) ? opposite : usual)),
    readOnly: readOnly || words.includes('ro'),
    allowOther: words.includes('allow_other'),
    nonEmpty: words.includes('nonempty'),
    timeoutMs: undefined,
  };
  const known = new Set([...switches.flat(), ...granted, 'ro', 'allow_other', 'nonempty', '']);
  for (const word of words) {
    if (passed.has(word)) options.words.push(word);
    else if (word.startsWith('timeout=')) options.timeoutMs = secondsOf(word) * 1000;
    else if (!known.has(word as never)) throw new InfinitError('usage', `unknown mount option "${word}"`);
  }
  return options;
}

function secondsOf(word: string): number {
  const text = word.slice('timeout='.length);
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds <= 0 || seconds > timeoutSecondsMax)
    throw new InfinitError('usage', `"${word}" needs a number of seconds, such as timeout=60`);
  return seconds;
}
