// `--avatar FILE`, `--icon FILE`: a picture.

import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { pictureType } from '../hub/pictures.ts';
import { readDocument } from './documents.ts';
import type { Invocation } from './invocation.ts';

/** Throws `usage` for what is none of the pictures a hub takes, `full` when it is too large. */
export async function readPicture(invocation: Invocation, path: string): Promise<{ type: string; content: Buffer }> {
  const content = await readDocument(invocation, path, limits.hubPictureBytesMax);
  const type = pictureType(content);
  if (type === undefined)
    throw new InfinitError('usage', `${JSON.stringify(path)} is no png, jpeg, gif or webp picture`);
  return { type, content };
}
