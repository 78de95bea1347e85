// Where on a hub things are.

import type { HubKind } from '../hub.ts';

const folders = {
  user: 'users',
  network: 'networks',
  volume: 'volumes',
  'key-value-store': 'kvs',
  drive: 'drives',
} as const;

/** Path of a descriptor by its name in repositories. */
export function pathOf(kind: HubKind, name: string): string {
  if (kind !== 'passport') return `/${folders[kind]}/${encoded(name)}`;
  const [owner = '', network = '', user = ''] = name.split('/');
  return `/networks/${encoded(`${owner}/${network}`)}/passports/${encodeURIComponent(user)}`;
}

/** What is known of a network beside its descriptor. */
export function networkPath(network: string, ...parts: readonly string[]): string {
  return ['/networks', encoded(network), ...parts.map(encodeURIComponent)].join('/');
}

export function userPath(user: string, ...parts: readonly string[]): string {
  return ['/users', ...[user, ...parts].map(encodeURIComponent)].join('/');
}

export function invitationPath(drive: string, user: string): string {
  return `/drives/${encoded(drive)}/invitations/${encodeURIComponent(user)}`;
}

export function iconPath(drive: string): string {
  return `/drives/${encoded(drive)}/icon`;
}

/** A name with its slashes. */
function encoded(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/');
}
