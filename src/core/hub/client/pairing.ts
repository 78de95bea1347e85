// The identity of a user from one device to another by way of the hub: left there for minutes, sealed under a passphrase, taken once.

import { InfinitError, isError } from '../../base/errors.ts';
import type { Imported } from '../../descriptor/context.ts';
import type { UserDescriptor } from '../../descriptor/descriptor.ts';
import { getUser, userKeyPair } from '../../descriptor/users.ts';
import { makePairing, openIdentity, passwordKeys } from '../identity.ts';
import { takeIdentity } from './login.ts';
import { userPath } from './paths.ts';
import type { Sharing } from './sharing.ts';

/** Leaves the acting user's identity for another device, for `limits.hubPairingMs`. */
export async function transmitUser({ context, hub, as }: Sharing, passphrase: string): Promise<void> {
  const { seed } = userKeyPair(await getUser(context, as));
  const body = await makePairing(hub.client.random, as, passphrase, seed);
  await hub.client.ask('PUT', userPath(as, 'pairing'), { body, what: `transmitting identity for user "${as}"` });
}

export type PairingState = 'waiting' | 'received' | 'gone';

/** What has become of what the acting user left. */
export async function pairingState({ hub, as }: Sharing): Promise<PairingState> {
  try {
    await hub.client.ask('GET', userPath(as, 'pairing', 'status'), { what: `asking for the identity of user "${as}"` });
    return 'waiting';
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
    return error.data?.error === 'pairing/gone' ? 'gone' : 'received';
  }
}

/**
 * Takes the identity that another device left. Throws `exists` when its key is here already, `denied` for another passphrase,
 * `not-found` when nothing waits.
 */
export async function receiveUser(
  { context, hub }: Sharing,
  name: string,
  passphrase: string,
): Promise<Imported<UserDescriptor>> {
  const { repository } = context;
  if ((await repository.has('user', name)) && (await repository.get('user', name)).private_key !== undefined)
    throw new InfinitError('exists', `user "${name}" already exists locally`);
  const what = `receiving identity for user "${name}"`;
  const parameters = await hub.client.ask('GET', userPath(name, 'pairing'), { what, open: true });
  const { salt, scrypt_n } = parameters as { salt: string; scrypt_n: number };
  if (typeof salt !== 'string') throw new InfinitError('corrupt', 'the hub tells no salt');
  const { login: key, sealing } = await passwordKeys(name, passphrase, { salt, scrypt_n }, 'pairing');
  const signer = { name, key };
  const answer = (await hub.client.ask('POST', userPath(name, 'pairing'), { signer, what })) as Record<string, unknown>;
  return takeIdentity(context, name, answer, (sealed) => openIdentity(name, sealing, sealed, 'pairing'));
}
