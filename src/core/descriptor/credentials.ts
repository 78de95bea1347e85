// Secrets of places outside: accounts of object stores, passphrases of silos. Each is sealed to the user who added it, so that
// a copy of its file says nothing without that user's key; silos name an account and hold no secret.

import { type Bytes, fromBase64, toBase64, utf8 } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { openSealed, sealTo } from '../crypto/sealed-box.ts';
import type { DescriptorContext, Removed } from './context.ts';
import type { CredentialsDescriptor } from './descriptor.ts';
import { keyFromJson, sameKey } from './keys.ts';
import { checkName } from './names.ts';
import { describeCredentials, type Service, splitCredentialsName } from './services.ts';
import { checkInput } from './stream.ts';
import { getUser, userKeyPair } from './users.ts';

/** The secret part: texts by name, such as `access_key_id`. */
export type Secret = Readonly<Record<string, string>>;

const secretFieldsMax = 16;
const secretCharsMax = 4096;

export interface AddCredentialsOptions {
  service: Service;
  account: string;
  /** Whose key opens them. */
  as: string;
  secret: Secret;
  /** Shown in lists, such as the id of a key. */
  display?: string | undefined;
  /** Takes the place of what is there. */
  replace?: boolean | undefined;
}

/** Throws `exists` unless `replace`, `denied` when the acting user has no private key here. */
export async function addCredentials(
  context: DescriptorContext,
  options: AddCredentialsOptions,
): Promise<CredentialsDescriptor> {
  const { service, account, secret, display } = options;
  const user = await getUser(context, options.as);
  userKeyPair(user);
  const sealed = sealTo(keyFromJson(user.public_key), utf8(JSON.stringify(secret)), context.runtime.random.bytes(32));
  const credentials = checkInput('credentials', () => ({
    name: `${service}/${checkName('account', account)}`,
    user: user.public_key,
    ...(display !== undefined && { display }),
    sealed: toBase64(sealed),
  }));
  if (!options.replace && (await context.repository.has('credentials', credentials.name)))
    throw new InfinitError('exists', `${describeCredentials(credentials.name)} exist already`, {
      hint: 'give --replace to take their place',
    });
  await context.repository.put('credentials', credentials.name, credentials, { replace: true });
  return credentials;
}

/** Throws `not-found` with what to type, `denied` when another user added them. */
export async function readCredentials(
  context: DescriptorContext,
  as: string,
  service: Service,
  account: string,
): Promise<Secret> {
  const user = await getUser(context, as);
  const descriptor = await findCredentials(context, service, account);
  if (!sameKey(descriptor.user, user.public_key))
    throw new InfinitError('denied', `${describeCredentials(descriptor.name)} were added by another user`, {
      hint: `infinit credentials add --${service} ${account} --as ${user.name} --replace`,
    });
  return parseSecret(openSealed(userKeyPair(user), fromBase64(descriptor.sealed)));
}

/** What silos of the acting user may ask of his home. */
export function siloHome(context: DescriptorContext, as: string) {
  return {
    secrets: (service: Service, account: string) => readCredentials(context, as, service, account),
    folder: `${context.home.state}/.silos`,
  };
}

async function findCredentials(
  context: DescriptorContext,
  service: Service,
  account: string,
): Promise<CredentialsDescriptor> {
  const name = `${service}/${checkName('account', account)}`;
  try {
    return await context.repository.get('credentials', name);
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
    throw new InfinitError('not-found', `${describeCredentials(name)} do not exist`, {
      hint: `infinit credentials add --${service} ${account}`,
      cause: error,
    });
  }
}

/** Throws `not-found` with what to type. */
export async function needCredentials(context: DescriptorContext, service: Service, account: string): Promise<void> {
  await findCredentials(context, service, account);
}

/** All, or those of some services; without their secrets. */
export async function listCredentials(
  context: DescriptorContext,
  of: readonly Service[] = [],
): Promise<{ service: Service; name: string; display?: string }[]> {
  const all = await context.repository.list('credentials');
  return all
    .map(({ descriptor: { name, display } }) => ({
      ...splitCredentialsName(name),
      ...(display !== undefined && { display }),
    }))
    .filter(({ service }) => of.length === 0 || of.includes(service));
}

export async function deleteCredentials(
  context: DescriptorContext,
  service: Service,
  account: string,
): Promise<Removed[]> {
  const { name } = await findCredentials(context, service, account);
  await context.repository.delete('credentials', name);
  return [{ kind: 'credentials', name }];
}

function parseSecret(plain: Bytes): Secret {
  const value: unknown = JSON.parse(Buffer.from(plain).toString('utf8'));
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  const sound = entries.every(([, text]) => typeof text === 'string' && text.length <= secretCharsMax);
  if (entries.length === 0 || entries.length > secretFieldsMax || !sound)
    throw new InfinitError('corrupt', 'credentials hold no texts');
  return Object.fromEntries(entries) as Secret;
}
