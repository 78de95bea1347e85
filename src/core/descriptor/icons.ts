// Pictures of drives in the cache of this home: one's own until they are on the hub, others' as they were fetched.

import { dirname, join } from 'node:path';
import type { Bytes } from '../base/bytes.ts';
import { limits } from '../base/limits.ts';
import type { DescriptorContext } from './context.ts';

type Keeper = Pick<DescriptorContext, 'runtime' | 'home'>;

export async function keepIcon({ runtime, home }: Keeper, drive: string, icon: Bytes): Promise<void> {
  const path = pathOf(home, drive);
  await runtime.files.makeDirectory(dirname(path));
  await runtime.files.replace(path, icon, { mode: 0o600 });
}

/** Undefined: none is kept. */
export async function keptIcon({ runtime, home }: Keeper, drive: string): Promise<Buffer | undefined> {
  const path = pathOf(home, drive);
  if ((await runtime.files.stat(path)) === undefined) return undefined;
  return runtime.files.read(path, { limit: limits.hubPictureBytesMax });
}

export async function forgetIcon({ runtime, home }: Keeper, drive: string): Promise<void> {
  await runtime.files.remove(pathOf(home, drive));
}

function pathOf(home: Keeper['home'], drive: string): string {
  return join(home.cache, 'icons', drive);
}
