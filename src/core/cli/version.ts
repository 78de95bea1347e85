// Versions people name: `--compatibility-version X.Y.Z`.

import { InfinitError } from '../base/errors.ts';

/** The oldest version whose options and files are understood. */
export const oldestVersion = '0.3.0';

/** The version; throws `usage` when malformed, `unsupported` when newer than this program or too old. */
export function checkCompatibility(text: string, own: string): string {
  const wanted = parseVersion(text);
  if (!wanted) throw new InfinitError('usage', `invalid compatibility version: ${text}`, { hint: 'write X.Y.Z' });
  if (compareVersions(wanted, parseVersion(own) ?? []) > 0) {
    throw new InfinitError('unsupported', `compatibility version ${text} is too recent, this is ${own}`);
  }
  if (compareVersions(wanted, parseVersion(oldestVersion) ?? []) < 0) {
    throw new InfinitError('unsupported', `compatibility version ${text} is too old, the oldest is ${oldestVersion}`);
  }
  return text;
}

function parseVersion(text: string): number[] | undefined {
  return /^\d{1,6}\.\d{1,6}\.\d{1,6}$/.test(text) ? text.split('.').map(Number) : undefined;
}

function compareVersions(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((part, index) => part !== b[index]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
