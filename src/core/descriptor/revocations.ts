// Revoking passports: the network's owner names a user in its descriptor, and whatever passports that user has by then count no
// more. Named by user and serial rather than one by one, because the owner need not have seen them all: older ones that were
// replaced, and those of delegates, end with it.

import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { DescriptorContext } from './context.ts';
import type { NetworkDescriptor } from './descriptor.ts';
import { sameKey } from './keys.ts';
import { getNetwork, reviseNetwork } from './networks.ts';
import { nextSerial } from './passports.ts';
import { revokedThrough } from './rights.ts';
import { signNetwork } from './signing.ts';
import { getUser } from './users.ts';

export interface RevokeOptions {
  /** The acting user, who owns the network. */
  as: string;
  /** Bare or qualified. */
  network: string;
  /** Name or `#hash` of a user known here. */
  user: string;
}

/**
 * Nodes learn of it from the network register. A passport made for the user afterwards counts again. Throws `denied` when the
 * network is not the acting user's, `usage` for the owner himself, `full` when too many users are named.
 */
export async function revokePassports(
  context: DescriptorContext,
  options: RevokeOptions,
): Promise<{ network: NetworkDescriptor; user: string; through: number }> {
  const known = await getNetwork(context, options.as, options.network);
  const { name: user, public_key: key } = await getUser(context, options.user);
  if (sameKey(key, known.owner))
    throw new InfinitError(
      'usage',
      `user "${user}" owns network "${known.name}": the owner's rights cannot be revoked`,
    );
  const name = `${known.name}/${user}`;
  const has = await context.repository.has('passport', name);
  const serial = has ? (await context.repository.get('passport', name)).serial : 0;
  const through = Math.max(serial, nextSerial(revokedThrough(known, key), context.runtime.clock.now()));
  const others = (known.revoked ?? []).filter((one) => !sameKey(one.user, key));
  if (others.length >= limits.revokedUsersMax)
    throw new InfinitError(
      'full',
      `network "${known.name}" names ${others.length} users as revoked, which is the limit`,
    );
  const network = await reviseNetwork(context, options.as, known, (owner) => {
    const { signature: _, ...rest } = known;
    return signNetwork(owner, { ...rest, serial: known.serial + 1, revoked: [...others, { user: key, through }] });
  });
  if (has) await context.repository.delete('passport', name);
  return { network, user, through };
}
