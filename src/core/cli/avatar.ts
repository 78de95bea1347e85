// `--avatar FILE`: a picture, its type told by its first bytes.

import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { readDocument } from './documents.ts';
import type { Invocation } from './invocation.ts';

const signatures: readonly (readonly [string, string])[] = [
  ['image/png', '89504e470d0a1a0a'],
  ['image/jpeg', 'ffd8ff'],
  ['image/gif', '47494638'],
  ['image/webp', '52494646'],
];

/** Throws `usage` for what is none of the pictures a hub takes, `full` when it is too large. */
export async function readAvatar(invocation: Invocation, path: string): Promise<{ type: string; content: Buffer }> {
  const content = await readDocument(invocation, path, limits.hubAvatarBytesMax);
  const found = signatures.find(([, begin]) => content.toString('hex', 0, begin.length / 2) === begin);
  if (found === undefined)
    throw new InfinitError('usage', `${JSON.stringify(path)} is no png, jpeg, gif or webp picture`);
  return { type: found[0], content };
}
