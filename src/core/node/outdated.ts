// What a running node cannot go on with when its network's descriptor changes: the overlay is chosen at the start, and a version is
// spoken by this program or not.

import { InfinitError, isError } from '../base/errors.ts';
import type { NetworkDescriptor } from '../descriptor/descriptor.ts';
import { checkSpoken } from '../descriptor/networks.ts';

/** The reason to end; undefined when there is none. */
export function outdatedBy(before: NetworkDescriptor, now: NetworkDescriptor): InfinitError | undefined {
  try {
    checkSpoken(now);
  } catch (error) {
    if (isError(error)) return error;
    throw error;
  }
  const [was, is] = [before.overlay.type, now.overlay.type];
  if (was === is) return undefined;
  const message = `network "${now.name}" has changed from overlay ${was} to ${is}`;
  return new InfinitError('conflict', message, { hint: 'start again' });
}
