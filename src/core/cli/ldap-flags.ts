// Options of commands that read a directory (LDAP), and what they mean.

import { Flags } from '@oclif/core';
import { limits } from '../base/limits.ts';
import type { Directory } from '../hub/directory/directory.ts';
import type { LdapServer } from '../hub/directory/ldap.ts';
import type { RosterSearch } from '../hub/directory/roster.ts';
import { readDocument } from './documents.ts';
import type { Invocation } from './invocation.ts';

export const ldapFlags = {
  server: Flags.string({
    description: 'the server: ldaps:// or, with StartTLS, ldap://',
    helpValue: 'URL',
    required: true,
  }),
  domain: Flags.string({
    char: 'd',
    description: 'end of all names there, such as example.com or dc=example,dc=com',
    helpValue: 'DOMAIN',
  }),
  user: Flags.string({
    char: 'u',
    description: 'who asks, such as admin or uid=reader,ou=services (default: nobody in particular)',
    helpValue: 'USER',
  }),
  password: Flags.string({
    char: 'P',
    description: 'his password; others of this machine can see it: better typed when asked, or `-` and piped in',
    helpValue: 'PASSWORD',
  }),
  searchbase: Flags.string({
    char: 'b',
    description: 'where to search, such as ou=groups (default: the whole domain)',
    helpValue: 'DN',
  }),
  filter: Flags.string({ char: 'f', description: 'only entries that fit, such as (ou=sales)', helpValue: 'FILTER' }),
  'object-class': Flags.string({
    char: 'o',
    description: 'only entries of this class; groups stand for their members (default: posixGroup)',
    helpValue: 'CLASS',
    default: 'posixGroup',
  }),
  'tls-ca': Flags.string({
    description: 'certificates to trust the server by (PEM; default: the system’s)',
    helpValue: 'FILE',
  }),
  cleartext: Flags.boolean({ description: 'without StartTLS: passwords can be read on the way' }),
};

/** Rights that people of a directory are not to have. */
export const denyFlags = {
  'deny-write': Flags.boolean({ description: 'reading only' }),
  'deny-storage': Flags.boolean({ description: 'may not contribute silos' }),
};
export const mountpointFlag = {
  mountpoint: Flags.string({
    char: 'm',
    description: 'a mounted volume of the network',
    helpValue: 'MOUNTPOINT',
    required: true,
  }),
};

export interface LdapFlagValues {
  server: string;
  domain?: string | undefined;
  user?: string | undefined;
  password?: string | undefined;
  searchbase?: string | undefined;
  filter?: string | undefined;
  'object-class': string;
  'tls-ca'?: string | undefined;
  cleartext: boolean;
}

export async function ldapServerOf(
  invocation: Invocation,
  { url, ca, cleartext }: { url: string; ca?: string | undefined; cleartext: boolean },
): Promise<LdapServer> {
  const trusted = ca === undefined ? undefined : await readDocument(invocation, ca, limits.keyFileBytesMax);
  return { url, cleartext, ...(trusted && { ca: trusted }) };
}

/** Connected, and proved who asks. */
export async function openDirectory(
  invocation: Invocation,
  flags: LdapFlagValues,
  password: () => Promise<string>,
): Promise<Directory> {
  const [{ openLdap }, { below, domainDn, userDn }] = await Promise.all([
    import('../hub/directory/ldap.ts'),
    import('../hub/directory/distinguished-names.ts'),
  ]);
  const { server: url, 'tls-ca': ca, cleartext, user } = flags;
  const who = user === undefined ? undefined : below(domainDn(flags.domain ?? ''), userDn(user));
  const secret = who === undefined ? undefined : await password();
  const directory = await openLdap(await ldapServerOf(invocation, { url, ca, cleartext }));
  try {
    if (who !== undefined && secret !== undefined) await directory.bind(who, secret);
    return directory;
  } catch (error) {
    directory.close();
    throw error;
  }
}

/** What the options search for. */
export async function searchOf(flags: LdapFlagValues, attributes: readonly string[]): Promise<RosterSearch> {
  const { below, domainDn } = await import('../hub/directory/distinguished-names.ts');
  const domain = domainDn(flags.domain ?? '');
  const base = below(domain, flags.searchbase ?? '');
  const { 'object-class': objectClass, filter } = flags;
  return { base, root: domain === '' ? base : domain, objectClass, filter, attributes };
}
