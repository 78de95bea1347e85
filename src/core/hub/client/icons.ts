// Pictures of drives between home and hub.

import { isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { keepIcon, keptIcon } from '../../descriptor/icons.ts';
import { pictureType } from '../pictures.ts';
import { iconPath } from './paths.ts';
import type { Sharing } from './sharing.ts';

/** Of a drive that is on the hub; nothing when none is kept here. */
export async function pushIcon({ context, hub }: Sharing, drive: string): Promise<void> {
  const content = await keptIcon(context, drive);
  const type = content && pictureType(content);
  if (content === undefined || type === undefined) return;
  await hub.client.send('PUT', iconPath(drive), { raw: { type, content }, what: `pushing icon of drive "${drive}"` });
}

/** Keeps it here; nothing when the hub has none, or something that is no picture. */
export async function fetchIcon({ context, hub }: Sharing, drive: string): Promise<void> {
  try {
    const { body } = await hub.client.send('GET', iconPath(drive), { what: `fetching icon of drive "${drive}"` });
    const isPicture = body.length <= limits.hubPictureBytesMax && pictureType(body) !== undefined;
    if (isPicture) await keepIcon(context, drive, body);
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
  }
}
