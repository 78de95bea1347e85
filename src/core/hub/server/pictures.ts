// Pictures of users and drives as they come and go: bounded, and what they say they are.

import { toBase64 } from '../../base/bytes.ts';
import { limits } from '../../base/limits.ts';
import type { Picture } from '../hub.ts';
import { pictureType, pictureTypes } from '../pictures.ts';
import type { Answer, Call } from './call.ts';
import { notFound, Refusal } from './refusal.ts';

/** What a picture is of. */
export type PictureKind = 'avatar' | 'icon';

/** The body as a picture; refused when it is none. */
export function pictureIn({ request: { headers, body } }: Call, kind: PictureKind): Picture {
  const type = (headers['content-type'] ?? '').toLowerCase();
  if (body.length === 0 || body.length > limits.hubPictureBytesMax)
    throw new Refusal(413, {
      error: `${kind}/size`,
      reason: `an ${kind} has at most ${limits.hubPictureBytesMax} bytes`,
    });
  if (pictureType(body) !== type)
    throw new Refusal(415, { error: `${kind}/type`, reason: `an ${kind} is one of ${pictureTypes.join(', ')}` });
  return { type, content: toBase64(body) };
}

/** The picture of that user or drive, as an answer. */
export async function pictureOf({ store }: Call, kind: PictureKind, name: string): Promise<Answer> {
  const picture = await store.picture(name);
  if (picture === undefined) throw notFound(kind, name);
  return { status: 200, raw: { type: picture.type, content: Buffer.from(picture.content, 'base64') } };
}
