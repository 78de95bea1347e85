// What clients may send beside descriptors, as checks of untrusted JSON.

import { isBase64 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { base64, type Check, described, integer, list, matching, object, oneOf, text } from '../descriptor/check.ts';
import type { DriveUser, UserDescriptor } from '../descriptor/descriptor.ts';
import { isName } from '../descriptor/names.ts';
import { driveUser, emailAddress, fullname } from '../descriptor/schema.ts';
import { checkDescriptor } from '../descriptor/stream.ts';
import type { DirectoryUser, DirectoryUserKept, Identity, NodeEndpoints, SealedIdentity, Usage } from './hub.ts';
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

const directoryPassword = text(limits.ldapPasswordCharsMax);

/** What a login sends: the password of the directory, by those who are in it. */
export const loginBody: Check<{ ldap_password?: string }> = object<{ ldap_password?: string }>(
  {},
  { ldap_password: directoryPassword },
);

const directoryUser: Check<DirectoryUser> = object<DirectoryUser>(
  { dn: text(limits.ldapDnCharsMax), name: matching(limits.nameCharsMax, isName, 'a name') },
  { email: emailAddress, fullname },
);

/** People an administrator puts on the hub. */
export const directoryUsers = object<{ users: DirectoryUser[] }>(
  { users: list(directoryUser, limits.ldapUsersPerRequest) },
  {},
);

/** What became of each. */
export const directoryUsersKept = object<{ users: DirectoryUserKept[] }>(
  {
    users: list(
      object<DirectoryUserKept>(
        {
          dn: text(limits.ldapDnCharsMax),
          name: matching(limits.nameCharsMax, isName, 'a name'),
          result: oneOf('created', 'updated', 'unchanged', 'enrolled', 'taken'),
        },
        { known: matching(limits.nameCharsMax, isName, 'a name') },
      ),
      limits.ldapUsersPerRequest,
    ),
  },
  {},
);

export interface UserBody {
  user: UserDescriptor;
  /** Undefined: what the hub has stays. */
  identity: Identity | undefined;
  /** By whom the directory has to know: his password there. */
  directoryPassword: string | undefined;
}

/** A user's descriptor, with `identity` and `ldap_password` beside its fields. Throws `corrupt`, for a private key above all. */
export function userBody(value: unknown): UserBody {
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const { identity: sealed, ldap_password: known, ...rest } = fields;
  if ('private_key' in rest)
    throw new InfinitError('corrupt', 'field "private_key" must not leave the device unsealed');
  return {
    user: checkDescriptor('user', rest),
    identity: sealed === undefined ? undefined : identity(sealed, 'identity'),
    directoryPassword: known === undefined ? undefined : directoryPassword(known, 'ldap_password'),
  };
}

/** An id of a node in a path: 32 bytes, base64. */
export function isNodeId(text: string): boolean {
  return isBase64(text, 32);
}
