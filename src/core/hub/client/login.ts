// Logging in: a user's private key from a hub where it was left under a password; for a person of the hub's directory the first time,
// taking the name that is kept for him, with a key made here.

import { InfinitError, isError } from '../../base/errors.ts';
import { keyPairFromSeed } from '../../crypto/keys.ts';
import type { DescriptorContext, Imported } from '../../descriptor/context.ts';
import type { UserDescriptor } from '../../descriptor/descriptor.ts';
import { keyToJson, sameKey } from '../../descriptor/keys.ts';
import { checkDescriptor } from '../../descriptor/stream.ts';
import { importUser, newUser, userKeyPair } from '../../descriptor/users.ts';
import { openIdentity, passwordKeys } from '../identity.ts';
import { userPath } from './paths.ts';
import { checkPasswords, type Sharing, signUp } from './sharing.ts';

/** Asked for when they are needed. */
export interface LoginSecrets {
  /** What seals the key: the hub never has it. `isNew`: it is chosen now. */
  password(isNew: boolean): Promise<string>;
  /** Of the directory, to which the hub passes it on. */
  directoryPassword(): Promise<string>;
}

/** Throws `denied` for another password. `isNew`: the user was made by this. */
export async function login(
  sharing: Sharing,
  name: string,
  secrets: LoginSecrets,
): Promise<Imported<UserDescriptor> & { isNew: boolean }> {
  const what = `logging in as "${name}"`;
  const { hub } = sharing;
  const answer = await hub.client.ask('GET', userPath(name, 'login'), { what, open: true });
  const { salt, scrypt_n, ldap } = answer as { salt?: unknown; scrypt_n: number; ldap?: unknown };
  if (ldap === true && salt === undefined) return { ...(await enrol(sharing, name, secrets)), isNew: true };
  if (typeof salt !== 'string') throw new InfinitError('corrupt', 'the hub tells no salt');
  const password = await secrets.password(false);
  const directoryPassword = ldap === true ? await secrets.directoryPassword() : undefined;
  checkPasswords(hub.client, { password, directoryPassword });
  const { login: key, sealing } = await passwordKeys(name, password, { salt, scrypt_n });
  const body = directoryPassword === undefined ? undefined : { ldap_password: directoryPassword };
  const told = (await hub.client
    .ask('POST', userPath(name, 'login'), { signer: { name, key }, what, body })
    .catch(throwDenied)) as Record<string, unknown>;
  const taken = await takeIdentity(sharing.context, name, told, (sealed) => openIdentity(name, sealing, sealed));
  return { ...taken, isNew: false };
}

/** Takes in a user whose private key the hub gave sealed. Throws `corrupt` when it is not the key of that user. */
export async function takeIdentity(
  context: DescriptorContext,
  name: string,
  { sealed, ...open }: Record<string, unknown>,
  unseal: (sealed: string) => Buffer,
): Promise<Imported<UserDescriptor>> {
  const user = checkDescriptor('user', open);
  const seed = unseal(String(sealed));
  const pair = keyPairFromSeed(seed);
  if (user.name !== name || !sameKey(keyToJson(pair.publicKey), user.public_key))
    throw new InfinitError('corrupt', `the hub gives another key for user "${name}"`);
  return importUser(context, JSON.stringify({ ...user, private_key: keyToJson(seed) }));
}

/** What an administrator noted of the person comes along. */
async function enrol(sharing: Sharing, name: string, secrets: LoginSecrets): Promise<Imported<UserDescriptor>> {
  const { context, hub } = sharing;
  const user = newUser(context, { name });
  const password = await secrets.password(true);
  const directoryPassword = await secrets.directoryPassword();
  await signUp(sharing, user, { password, directoryPassword, full: true });
  const own = hub.as({ name, key: userKeyPair(user) });
  return importUser(context, JSON.stringify(await own.get('user', name)));
}

function throwDenied(error: unknown): never {
  if (isError(error, 'denied') && error.data?.error === 'user/unauthorized')
    throw new InfinitError('denied', 'password do not match', { cause: error });
  throw error;
}
