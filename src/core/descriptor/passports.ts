// Passports: create, list, import, delete. A network's owner signs them, or a delegate whose own passport lets him. Each
// carries the private half of the network's members key, sealed to its user.

import { type Bytes, equalBytes, fromBase64, toBase64 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { boxKeyPair, openSealed, sealTo } from '../crypto/sealed-box.ts';
import type { Random } from '../runtime/runtime.ts';
import { canonicalJson } from './canonical.ts';
import type { DescriptorContext, Imported } from './context.ts';
import type { NetworkDescriptor, PassportDescriptor, PublicKeyJson, UserDescriptor } from './descriptor.ts';
import { keyFromJson, keyToJson, membersKeyPair, sameKey, userHash } from './keys.ts';
import { checkName, qualify } from './names.ts';
import { type PassportRights, revokedThrough, verifyPassport } from './rights.ts';
import { signPassport } from './signing.ts';
import { checkInput, parseDescriptor } from './stream.ts';
import { findUserByKey, getUser, userKeyPair } from './users.ts';

export interface CreatePassportOptions {
  /** The acting user: owner of the network, or a delegate whose passport allows signing. */
  as: string;
  /** Bare or qualified. */
  network: string;
  /** Name or `#hash` of a user known here. */
  user: string;
  denyWrite?: boolean | undefined;
  denyStorage?: boolean | undefined;
  allowCreatePassport?: boolean | undefined;
  /** From now. */
  expiresInMs?: number | undefined;
}

export interface CreatedPassport {
  /** `owner/network/user`. */
  name: string;
  passport: PassportDescriptor;
  /** Signed by a delegate, not the owner (the command prints a notice). */
  delegated: boolean;
}

/** Replaces an older passport of that user here; the new one has a higher serial. */
export async function createPassport(
  context: DescriptorContext,
  options: CreatePassportOptions,
): Promise<CreatedPassport> {
  const network = await context.repository.get('network', qualify('network', options.network, options.as));
  const acting = await getUser(context, options.as);
  const pair = userKeyPair(acting);
  const user = await getUser(context, options.user);
  if (sameKey(user.public_key, network.owner))
    throw new InfinitError('usage', `user "${user.name}" owns network "${network.name}" and needs no passport`);
  const own = sameKey(acting.public_key, network.owner)
    ? undefined
    : await delegatePassport(context, network, acting, options);
  const name = `${network.name}/${user.name}`;
  const known = (await context.repository.has('passport', name))
    ? (await context.repository.get('passport', name)).serial
    : 0;
  const passport = signedGrant(context.runtime.random, pair, network, own, {
    user: user.public_key,
    rights: { write: !options.denyWrite, storage: !options.denyStorage, sign: options.allowCreatePassport === true },
    previous: known,
    now: context.runtime.clock.now(),
    expiresInMs: options.expiresInMs,
  });
  await context.repository.put('passport', name, passport, { replace: true });
  await refreshLink(context, passport, user.name);
  return { name, passport, delegated: own !== undefined };
}

/** `network` bare or qualified. */
export function getPassport(
  context: DescriptorContext,
  as: string,
  network: string,
  user: string,
): Promise<PassportDescriptor> {
  return context.repository.get('passport', `${qualify('network', network, as)}/${checkName('user', user)}`);
}

/** All, or those of one network. */
export async function listPassports(
  context: DescriptorContext,
  as: string,
  network?: string,
): Promise<{ network: string; user: string }[]> {
  const wanted = network === undefined ? undefined : qualify('network', network, as);
  return (await context.repository.list('passport'))
    .map(({ name, descriptor }) => ({ network: descriptor.network, user: name.slice(descriptor.network.length + 1) }))
    .filter((passport) => wanted === undefined || passport.network === wanted);
}

/** Verified against the network, which must be known here, as must the user. An older one than known is refused. */
export async function importPassport(
  context: DescriptorContext,
  source: Bytes | string,
): Promise<Imported<PassportDescriptor> & { network: string; user: string }> {
  const passport = parseDescriptor('passport', source);
  const network = await context.repository.get('network', passport.network);
  verifyPassport(network, passport, { now: context.runtime.clock.now() });
  const user = await findUserByKey(context, passport.user);
  if (user === undefined)
    throw new InfinitError('not-found', `the user ${userHash(passport.user)} of the passport is not known here`, {
      hint: 'import the user first: infinit user import',
    });
  if (user.private_key !== undefined) membersSecret(userKeyPair(user), network, passport);
  const name = `${network.name}/${user.name}`;
  const imported = { name, descriptor: passport, network: network.name, user: user.name };
  if (await context.repository.has('passport', name)) {
    const known = await context.repository.get('passport', name);
    if (known.serial > passport.serial)
      throw new InfinitError(
        'conflict',
        `passport "${network.name}: ${user.name}": serial ${passport.serial} is older than serial ${known.serial} known here`,
      );
    if (canonicalJson(known).equals(canonicalJson(passport))) return { ...imported, result: 'unchanged' };
    await context.repository.put('passport', name, passport, { replace: true });
    await refreshLink(context, passport, user.name);
    return { ...imported, result: 'updated' };
  }
  await context.repository.put('passport', name, passport);
  await refreshLink(context, passport, user.name);
  return { ...imported, result: 'saved' };
}

export async function deletePassport(
  context: DescriptorContext,
  as: string,
  network: string,
  user: string,
): Promise<{ network: string; user: string }> {
  const qualified = qualify('network', network, as);
  await context.repository.delete('passport', `${qualified}/${checkName('user', user)}`);
  return { network: qualified, user };
}

/** The passport an owner gives himself when he links: it carries the members key for his own tools. */
export function ownerPassport(
  context: DescriptorContext,
  owner: KeyPair,
  network: NetworkDescriptor,
): PassportDescriptor {
  return signPassport(owner, {
    user: network.owner,
    network: network.name,
    allow_write: true,
    allow_storage: true,
    allow_sign: true,
    serial: nextSerial(0, context.runtime.clock.now()),
    members_key: sealMembersSecret(context.runtime.random, network.owner, ownerMembersSecret(owner, network)),
  });
}

/**
 * The private half of the members key out of a passport of this user. Throws `corrupt` when it does not open, or is not the
 * network's present one.
 */
export function membersSecret(user: KeyPair, network: NetworkDescriptor, passport: PassportDescriptor): Buffer {
  const secret = openSealed(user, fromBase64(passport.members_key));
  return checkMembersSecret(network, secret);
}

function ownerMembersSecret(owner: KeyPair, network: NetworkDescriptor): Buffer {
  return checkMembersSecret(network, membersKeyPair(owner, fromBase64(network.members_salt)).secretKey);
}

function checkMembersSecret(network: NetworkDescriptor, secret: Buffer): Buffer {
  if (!equalBytes(boxKeyPair(secret).publicKey, fromBase64(network.members_key)))
    throw new InfinitError('corrupt', `the members key is not that of network "${network.name}"`);
  return secret;
}

function sealMembersSecret(random: Random, user: PublicKeyJson, secret: Buffer): string {
  return toBase64(sealTo(keyFromJson(user), secret, random.bytes(32)));
}

/** Grows, also over devices that do not know each other's passports: from the second of the clock on. */
export function nextSerial(previous: number, now: number): number {
  return Math.max(previous + 1, Math.floor(now / 1000));
}

interface Grant {
  user: PublicKeyJson;
  rights: PassportRights;
  /** Serial of the user's last passport that is known; 0: none. */
  previous: number;
  now: number;
  expiresInMs?: number | undefined;
}

/**
 * A passport signed by a delegate, whose own comes along. Throws `denied` when that is not valid or does not let him sign,
 * `corrupt` when the members key is another by now.
 */
export function delegatedPassport(
  random: Random,
  delegate: KeyPair,
  network: NetworkDescriptor,
  own: PassportDescriptor,
  grant: Grant,
): PassportDescriptor {
  checkMaySign(network, own, grant.now);
  return signedGrant(random, delegate, network, own, grant);
}

/** `own`: passport of the delegate who signs; undefined for the owner. */
function signedGrant(
  random: Random,
  signer: KeyPair,
  network: NetworkDescriptor,
  own: PassportDescriptor | undefined,
  { user, rights, previous, now, expiresInMs }: Grant,
): PassportDescriptor {
  const members = own === undefined ? ownerMembersSecret(signer, network) : membersSecret(signer, network, own);
  return checkInput('passport', () => {
    const signed = signPassport(signer, {
      user,
      network: network.name,
      allow_write: rights.write,
      allow_storage: rights.storage,
      allow_sign: rights.sign,
      serial: nextSerial(Math.max(previous, revokedThrough(network, user)), now),
      members_key: sealMembersSecret(random, user, members),
      ...(expiresInMs !== undefined && { expires: now + expiresInMs }),
      ...(own !== undefined && { certifier: keyToJson(signer.publicKey) }),
    });
    return own === undefined ? signed : { ...signed, certifier_passport: own };
  });
}

/** The acting user's own passport, when it lets him sign this one. */
async function delegatePassport(
  context: DescriptorContext,
  network: NetworkDescriptor,
  acting: UserDescriptor,
  options: CreatePassportOptions,
): Promise<PassportDescriptor> {
  const name = `${network.name}/${acting.name}`;
  if (!(await context.repository.has('passport', name)))
    throw new InfinitError(
      'denied',
      `user "${acting.name}" neither owns network "${network.name}" nor has a passport that allows creating passports`,
    );
  const own = await context.repository.get('passport', name);
  checkMaySign(network, own, context.runtime.clock.now(), `"${network.name}: ${acting.name}"`);
  if (options.allowCreatePassport)
    throw new InfinitError('denied', `only the owner of network "${network.name}" lets others create passports`);
  return own;
}

function checkMaySign(network: NetworkDescriptor, own: PassportDescriptor, now: number, shown = ''): void {
  const name = shown === '' ? `of ${userHash(own.user)} for network "${network.name}"` : shown;
  if (!verifyPassport(network, own, { now }).sign)
    throw new InfinitError('denied', `the passport ${name} does not allow creating passports`);
}

async function refreshLink(context: DescriptorContext, passport: PassportDescriptor, user: string): Promise<void> {
  const name = `${user}/${passport.network}`;
  if (!(await context.repository.has('linked-network', name))) return;
  const link = await context.repository.get('linked-network', name);
  await context.repository.put('linked-network', name, { ...link, passport }, { replace: true });
}
