// All that one device needs to keep a volume: a user, a silo, a network, a volume. What is there already is taken as it is, so that
// a beginning that was cut short goes on where it ended.

import { InfinitError } from '../base/errors.ts';
import type { DescriptorContext } from './context.ts';
import { type Found, linkNetwork } from './links.ts';
import { qualify } from './names.ts';
import { createNetwork } from './networks.ts';
import { createFilesystemSilo } from './silos.ts';
import { createUser, getUser } from './users.ts';
import { createVolume, updateVolume } from './volumes.ts';

export interface BeginningOptions {
  user: string;
  silo: string;
  /** Absolute; default `blocks/NAME` of the data folder. */
  path?: string | undefined;
  /** Bytes. */
  capacity?: number | undefined;
  network: string;
  volume: string;
  /** Absolute. */
  mountpoint: string;
  /** A volume that is there is mounted there from now on, too. */
  remount: boolean;
  found: Found;
}

export interface Begun {
  kind: 'user' | 'silo' | 'network' | 'linked-network' | 'volume';
  name: string;
  /** Whether it was made now. */
  made: boolean;
}

/** Tells of each thing once it is there. Throws `denied` for a user without private key. */
export async function begin(
  context: DescriptorContext,
  options: BeginningOptions,
  there: (begun: Begun) => void,
): Promise<void> {
  const { user, silo, volume } = options;
  const { repository } = context;
  const once = async (kind: Exclude<Begun['kind'], 'linked-network'>, name: string, make: () => Promise<unknown>) => {
    const made = !(await repository.has(kind, name));
    if (made) await make();
    there({ kind, name, made });
  };
  await once('user', user, () => createUser(context, { name: user }));
  if ((await getUser(context, user)).private_key === undefined)
    throw new InfinitError('denied', `user "${user}" has no private key on this device`);
  await once('silo', silo, () =>
    createFilesystemSilo(context, { name: silo, path: options.path, capacity: options.capacity }),
  );
  await beginNetwork(context, options, there);
  const name = qualify('volume', volume, user);
  const mountOptions = { mountpoint: options.mountpoint };
  const as = user;
  if (options.remount && (await repository.has('volume', name)))
    await updateVolume(context, { as, name, mountOptions });
  await once('volume', name, () => createVolume(context, { as, name, network: options.network, mountOptions }));
}

/** The network, and this device linked to it with the silo. */
async function beginNetwork(
  context: DescriptorContext,
  options: BeginningOptions,
  there: (begun: Begun) => void,
): Promise<void> {
  const { user: as, silo, found } = options;
  const name = qualify('network', options.network, as);
  const silos = [silo];
  const isKnown = await context.repository.has('network', name);
  const isLinked = await context.repository.has('linked-network', `${as}/${name}`);
  if (!isKnown) await createNetwork(context, { as, name, silos, found });
  else if (!isLinked) await linkNetwork(context, { as, name, silos, found });
  there({ kind: 'network', name, made: !isKnown });
  there({ kind: 'linked-network', name: `${as}/${name}`, made: !isLinked });
}
