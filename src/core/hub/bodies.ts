// What clients may send beside descriptors, as checks of untrusted JSON.

import { isBase64 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { base64, type Check, described, integer, list, matching, object } from '../descriptor/check.ts';
import type { DriveUser, UserDescriptor } from '../descriptor/descriptor.ts';
import { driveUser } from '../descriptor/schema.ts';
import { checkDescriptor } from '../descriptor/stream.ts';
import type { Identity, NodeEndpoints, SealedIdentity, Usage } from './hub.ts';
import { isLogN, sealedSeedBytes } from './identity.ts';

const host = matching(255, (text) => /^[0-9A-Za-z_.:%-]+$/.test(text), 'a host');

export const nodeEndpoints: Check<NodeEndpoints> = object<NodeEndpoints>(
  { addresses: list(host, limits.hubAddressesMax), port: integer(1, 65_535) },
  {},
);

export const usage: Check<Usage> = object<Usage>({ capacity: integer(0), usage: integer(0) }, {});

/** What the owner of a drive offers, and what a user takes up. */
export const invitation: Check<DriveUser> = driveUser;

const cost: Check<number> = described({ type: 'integer', description: 'a power of two' }, (value, field) => {
  const checked = integer(1)(value, field);
  if (!isLogN(checked)) throw new InfinitError('corrupt', `field "${field}" is no cost allowed`);
  return checked;
});

const passwordFields = {
  salt: base64(16),
  scrypt_n: cost,
  login_key: object<Identity['login_key']>({ ed25519: base64(32) }, {}),
};
const sealed = base64(sealedSeedBytes);

export const identity: Check<Identity> = object<Identity>(passwordFields, { sealed });

/** What a device leaves for another of the same user. */
export const pairing: Check<SealedIdentity> = object<SealedIdentity>({ ...passwordFields, sealed }, {});

export interface UserBody {
  user: UserDescriptor;
  /** Undefined: what the hub has stays. */
  identity: Identity | undefined;
}

/** A user's descriptor, with `identity` beside its fields. Throws `corrupt`, for a private key above all. */
export function userBody(value: unknown): UserBody {
  const { identity: sealed, ...rest } = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  if ('private_key' in rest)
    throw new InfinitError('corrupt', 'field "private_key" must not leave the device unsealed');
  return {
    user: checkDescriptor('user', rest),
    identity: sealed === undefined ? undefined : identity(sealed, 'identity'),
  };
}

/** An id of a node in a path: 32 bytes, base64. */
export function isNodeId(text: string): boolean {
  return isBase64(text, 32);
}
