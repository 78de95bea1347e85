// What a passport allows, as anybody can verify who has the network's descriptor: the owner signed it, or a delegate did whose
// own passport the owner signed with the right to sign. A delegate gives no more than he has, and not the right to sign.

import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { NetworkDescriptor, PassportDescriptor, PublicKeyJson } from './descriptor.ts';
import { sameKey, userHash } from './keys.ts';
import { passportSignedBy } from './signing.ts';

export interface PassportRights {
  readonly write: boolean;
  readonly storage: boolean;
  readonly sign: boolean;
}

/**
 * Throws `denied` naming the check that failed. With `now` (milliseconds since 1970) expiry is tested, with a tolerance of
 * `limits.clockSkewMs`. Revocation is the caller's to test (`restsOnRevoked`).
 */
export function verifyPassport(
  network: NetworkDescriptor,
  passport: PassportDescriptor,
  options: { now?: number } = {},
): PassportRights {
  const denied = (what: string) =>
    new InfinitError('denied', `passport of ${userHash(passport.user)} for network "${passport.network}" ${what}`);
  if (passport.network !== network.name) throw denied(`is not for network "${network.name}"`);
  const delegated = isDelegated(network, passport);
  if (!passportSignedBy(passport.certifier ?? network.owner, passport))
    throw denied(`is not signed by ${delegated ? 'the delegate it names' : "the network's owner"}: forged or damaged`);
  const delegate = delegated ? delegateRights(network, passport, denied, options) : undefined;
  if (options.now !== undefined && isExpired(passport, options.now)) throw denied('has expired');
  if (sameKey(passport.user, network.owner)) return { write: true, storage: true, sign: true };
  return {
    write: passport.allow_write && (delegate?.write ?? true),
    storage: passport.allow_storage && (delegate?.storage ?? true),
    sign: passport.allow_sign && !delegated,
  };
}

const revocations = new WeakMap<NetworkDescriptor, ReadonlyMap<string, number>>();

/** Whether the network's owner revoked that very passport. His own never is. */
export function isRevoked(network: NetworkDescriptor, { user, serial }: PassportDescriptor): boolean {
  return !sameKey(user, network.owner) && serial <= revokedThrough(network, user);
}

/** Whether that passport, or the delegate's it rests on, was revoked. */
export function restsOnRevoked(network: NetworkDescriptor, passport: PassportDescriptor): boolean {
  const { certifier_passport: delegate } = passport;
  return isRevoked(network, passport) || (delegate !== undefined && isRevoked(network, delegate));
}

/** The highest serial of that user's passports that is revoked; -1: none. */
export function revokedThrough(network: NetworkDescriptor, user: PublicKeyJson): number {
  if (network.revoked === undefined) return -1;
  const listed = revocations.get(network) ?? new Map(network.revoked.map((one) => [one.user.ed25519, one.through]));
  revocations.set(network, listed);
  return listed.get(user.ed25519) ?? -1;
}

/** When the passport, or the delegate's it rests on, ends; undefined: never. */
export function passportExpiry(passport: PassportDescriptor): number | undefined {
  const ends = [passport.expires, passport.certifier_passport?.expires].filter((end) => end !== undefined);
  return ends.length === 0 ? undefined : Math.min(...ends);
}

function isExpired(passport: PassportDescriptor, now: number): boolean {
  return passport.expires !== undefined && passport.expires + limits.clockSkewMs <= now;
}

function isDelegated(network: NetworkDescriptor, passport: PassportDescriptor): boolean {
  return passport.certifier !== undefined && !sameKey(passport.certifier, network.owner);
}

function delegateRights(
  network: NetworkDescriptor,
  passport: PassportDescriptor,
  denied: (what: string) => InfinitError,
  options: { now?: number },
): PassportRights {
  const own = passport.certifier_passport;
  if (own === undefined) throw denied("comes without its delegate's passport");
  if (passport.certifier === undefined || !sameKey(own.user, passport.certifier))
    throw denied("comes with a passport that is not its delegate's");
  if (isDelegated(network, own)) throw denied('rests on a delegate whom the owner did not certify');
  const rights = verifyPassport(network, own, options);
  if (!rights.sign) throw denied('is signed by a delegate who may not sign passports');
  return rights;
}
