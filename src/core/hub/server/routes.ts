// Every route of the hub, in one table: what answers, who may ask. The OpenAPI document is made from it.

import type { Answer, Call } from './call.ts';
import {
  deleteNetwork,
  deletePassport,
  getNetwork,
  getPassport,
  passportsOfNetwork,
  putNetwork,
  putPassport,
  treeHandlers,
  volumesOfNetwork,
} from './descriptors.ts';
import { getDirectoryUser, putDirectoryUsers } from './directory.ts';
import { deleteDrive, deleteIcon, drivesOf, getDrive, getIcon, putDrive, putIcon } from './drives.ts';
import { confirmationPage, confirmEmail, emailConfirmed, sendConfirmation } from './emails.ts';
import { deleteInvitation, getInvitations, putInvitation } from './invitations.ts';
import { deleteEndpoints, getEndpoints, getUsage, putEndpoints, putUsage } from './nodes.ts';
import { openApiDocument, type SchemaName } from './openapi.ts';
import { pairingParameters, pairingStatus, putPairing, takePairing } from './pairing.ts';
import {
  deleteAvatar,
  deleteUser,
  getAvatar,
  getUser,
  keyValueStoresOf,
  login,
  loginParameters,
  networksOf,
  passportsOf,
  putAvatar,
  putUser,
  volumesOf,
} from './users.ts';

import {
  elsewhere,
  logout,
  showConfirmed,
  showLogin,
  showOverview,
  showStyle,
  takeLogin,
  webLogin,
} from './web/handlers.ts';

/**
 * `open`: nobody need sign. `signed`: a user of the hub. `enrol`: signed with the key in the body. `login`: signed with the pair
 * that the password gives. `pairing`: signed with the pair that the passphrase of a pairing gives. `code`: whoever has the code that was sent by mail. `session`: signed in on the page, or not: it reads.
 * What a caller may do beyond that its handler says.
 */
export type Access = 'open' | 'signed' | 'enrol' | 'login' | 'pairing' | 'code' | 'session';

export interface Route {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Parts that begin with `:` are parameters. */
  path: string;
  access: Access;
  summary: string;
  /** The body asked for, and the answer. */
  takes?: SchemaName;
  gives: SchemaName;
  /** Leads on to another page, after a form or from a browser. */
  redirects?: boolean;
  handle(call: Call): Promise<Answer>;
}

const { volume, 'key-value-store': keyValueStore } = treeHandlers;
/** A browser is led to the page. */
const root = async ({ request }: Call): Promise<Answer> =>
  (request.headers.accept ?? '').includes('text/html')
    ? elsewhere('/web')
    : { status: 200, body: { hub: 'infinit', version: 1 } };
const openApi = async (): Promise<Answer> => ({ status: 200, body: openApiDocument(routes) });

export const routes: readonly Route[] = [
  { ...open('/', 'What this is', 'Root', root), redirects: true },
  open('/openapi.json', 'This document', 'Any', openApi),
  open('/users/:user', 'A user, by name or by #hash', 'User', getUser),
  { ...put('/users/:user', 'Make or change oneself', 'UserBody', putUser), access: 'enrol' },
  remove('/users/:user', 'Take oneself off the hub; ?purge: with everything owned', deleteUser),
  open('/users/:user/avatar', 'The picture of a user', 'Picture', getAvatar),
  put('/users/:user/avatar', 'Set one’s picture', 'Picture', putAvatar),
  remove('/users/:user/avatar', 'Take one’s picture away', deleteAvatar),
  get('/users/:user/networks', 'Networks one owns or has a passport for', 'Networks', networksOf),
  get('/users/:user/passports', 'Passports for oneself', 'Passports', passportsOf),
  get('/users/:user/volumes', 'Volumes one owns, and those of networks one is in', 'Volumes', volumesOf),
  get(
    '/users/:user/kvs',
    'Key-value stores one owns, and those of networks one is in',
    'KeyValueStores',
    keyValueStoresOf,
  ),
  open('/users/:user/login', 'What the password is stretched with', 'LoginParameters', loginParameters),
  open(
    '/users/:user/pairing',
    'What the passphrase of a pairing is stretched with',
    'LoginParameters',
    pairingParameters,
  ),
  put('/users/:user/pairing', 'Leave one’s key for another device, for minutes', 'Pairing', putPairing),
  {
    ...get('/users/:user/pairing', 'Take the key that was left, once', 'LoggedIn', takePairing),
    ...{ method: 'POST', access: 'pairing' },
  },
  get('/users/:user/pairing/status', 'Whether one’s key still waits for another device', 'Result', pairingStatus),
  {
    ...get('/users/:user/login', 'The sealed identity', 'LoggedIn', login),
    ...{ method: 'POST', access: 'login', takes: 'Login' },
  },
  get('/ldap_users/:dn', 'The user a person of the directory has become', 'User', getDirectoryUser),
  {
    ...put('/ldap_users', 'Keep names for people of the directory; administrators', 'LdapUsers', putDirectoryUsers),
    gives: 'LdapUsersKept',
  },
  { ...get('/users/:user/send_confirmation_email', 'Have a code sent', 'Result', sendConfirmation), method: 'POST' },
  open('/users/:user/confirm_email', 'The page a link in a mail leads to', 'Page', confirmationPage),
  {
    ...get('/users/:user/confirm_email', 'Confirm an address by the code', 'Result', confirmEmail),
    ...{ method: 'POST', access: 'code', takes: 'Code', redirects: true },
  },
  get('/users/:user/email_confirmed', 'Whether one’s address is confirmed', 'Result', emailConfirmed),
  {
    ...get('/users/:user/web_login', 'A code to sign in on the page with, once', 'WebLogin', webLogin),
    method: 'POST',
  },
  { ...open('/web', 'The page of whoever is signed in', 'Page', showOverview), access: 'session' },
  open('/web/style.css', 'How pages look', 'Style', showStyle),
  open('/web/confirmed', 'An address is confirmed', 'Page', showConfirmed),
  open('/web/login', 'Where the link to sign in leads', 'Page', showLogin),
  form('/web/login', 'Sign in by the code of a link', 'code', takeLogin),
  form('/web/logout', 'Sign out', 'session', logout),
  get('/networks/:owner/:name', 'A network, for those in it', 'Network', getNetwork),
  put('/networks/:owner/:name', 'Make or change a network; its owner', 'Network', putNetwork),
  remove('/networks/:owner/:name', 'Take a network off the hub; ?purge: with all in it', deleteNetwork),
  get('/networks/:owner/:name/passports', 'Its passports, for its owner', 'PassportsByUser', passportsOfNetwork),
  get('/networks/:owner/:name/passports/:user', 'A passport, for its user and who signed it', 'Passport', getPassport),
  put('/networks/:owner/:name/passports/:user', 'Bring a passport', 'Passport', putPassport),
  remove('/networks/:owner/:name/passports/:user', 'Take a passport off the hub', deletePassport),
  get('/networks/:owner/:name/volumes', 'Its volumes, for those in it', 'Volumes', volumesOfNetwork),
  get('/networks/:owner/:name/endpoints', 'Where its nodes are, for those in it', 'Endpoints', getEndpoints),
  put('/networks/:owner/:name/endpoints/:user/:node', 'Say where one’s node is', 'NodeEndpoints', putEndpoints),
  remove('/networks/:owner/:name/endpoints/:user/:node', 'A node of one’s own is there no more', deleteEndpoints),
  get('/networks/:owner/:name/stat', 'Capacity and usage of its nodes, for those in it', 'Usage', getUsage),
  put('/networks/:owner/:name/stat/:user/:node', 'Say how full one’s node is', 'Usage', putUsage),
  get('/volumes/:owner/:name', 'A volume, for those in its network', 'Volume', volume.get),
  put('/volumes/:owner/:name', 'Make or change a volume; its owner', 'Volume', volume.put),
  remove('/volumes/:owner/:name', 'Take a volume off the hub', volume.remove),
  get('/users/:user/drives', 'Drives one owns or is invited to', 'Drives', drivesOf),
  get('/drives/:owner/:name', 'A drive, for its owner and whom he invited', 'Drive', getDrive),
  put('/drives/:owner/:name', 'Make or change a drive; its owner', 'Drive', putDrive),
  remove('/drives/:owner/:name', 'Take a drive off the hub, with its invitations', deleteDrive),
  get('/drives/:owner/:name/icon', 'The picture of a drive, for its owner and whom he invited', 'Picture', getIcon),
  put('/drives/:owner/:name/icon', 'Set the picture of a drive; its owner', 'Picture', putIcon),
  remove('/drives/:owner/:name/icon', 'Take the picture of a drive away', deleteIcon),
  get('/drives/:owner/:name/invitations', 'Who is invited, for its owner', 'Invitations', getInvitations),
  put(
    '/drives/:owner/:name/invitations/:user',
    'Invite, by name or by e-mail address; or join, by whom it is for',
    'Invitation',
    putInvitation,
  ),
  remove('/drives/:owner/:name/invitations/:user', 'Take an invitation back; or decline', deleteInvitation),
  get('/kvs/:owner/:name', 'A key-value store, for those in its network', 'KeyValueStore', keyValueStore.get),
  put('/kvs/:owner/:name', 'Make or change a key-value store; its owner', 'KeyValueStore', keyValueStore.put),
  remove('/kvs/:owner/:name', 'Take a key-value store off the hub', keyValueStore.remove),
];

type Handle = Route['handle'];

function open(path: string, summary: string, gives: SchemaName, handle: Handle): Route {
  return { method: 'GET', path, access: 'open', summary, gives, handle };
}

function get(path: string, summary: string, gives: SchemaName, handle: Handle): Route {
  return { method: 'GET', path, access: 'signed', summary, gives, handle };
}

function put(path: string, summary: string, takes: SchemaName, handle: Handle): Route {
  return { method: 'PUT', path, access: 'signed', summary, takes, gives: 'Result', handle };
}

function form(path: string, summary: string, access: Access, handle: Handle): Route {
  return { method: 'POST', path, access, summary, takes: 'Form', gives: 'Page', redirects: true, handle };
}

function remove(path: string, summary: string, handle: Handle): Route {
  return { method: 'DELETE', path, access: 'signed', summary, gives: 'Result', handle };
}

/** Every request is held against all of them. */
const split = routes.map((route) => ({ route, parts: segmentsOf(route.path) }));

export interface Match {
  route: Route;
  params: Record<string, string>;
}

/** Routes with that path, each method once. `segments` are decoded. */
export function matching(segments: readonly string[]): Match[] {
  return split.flatMap(({ route, parts }) => {
    if (parts.length !== segments.length) return [];
    const params: Record<string, string> = {};
    for (const [index, part] of parts.entries()) {
      const segment = segments[index] as string;
      if (part.startsWith(':')) params[part.slice(1)] = segment;
      else if (part !== segment) return [];
    }
    return [{ route, params }];
  });
}

/** The parts of a path; none of `/`. */
export function segmentsOf(path: string): string[] {
  const parts = path.split('/').slice(1);
  return parts.length === 1 && parts[0] === '' ? [] : parts;
}
