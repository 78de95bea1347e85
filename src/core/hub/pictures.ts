// Kinds of pictures that users and drives show themselves by, told by their first bytes.

import { asBuffer, type Bytes } from '../base/bytes.ts';

const beginnings: readonly (readonly [string, string])[] = [
  ['image/png', '89504e470d0a1a0a'],
  ['image/jpeg', 'ffd8ff'],
  ['image/gif', '47494638'],
  ['image/webp', '52494646'],
];

export const pictureTypes: readonly string[] = beginnings.map(([type]) => type);

/** Its media type; undefined for what is none of the kinds that are taken. */
export function pictureType(content: Bytes): string | undefined {
  const bytes = asBuffer(content);
  return beginnings.find(([, begin]) => bytes.toString('hex', 0, begin.length / 2) === begin)?.[0];
}
