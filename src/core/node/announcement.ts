// Where a node says it can be reached: hosts given by its user first, then this machine's addresses, unless those are not to be
// told.

import { isIPv4, isIPv6 } from 'node:net';
import { limits } from '../base/limits.ts';

export interface Announcement {
  /** Told besides this machine's addresses: behind a router, in a container. */
  hosts?: readonly string[] | undefined;
  /** Leaves out addresses of local networks. */
  noLocal?: boolean | undefined;
  /** Leaves out public addresses. */
  noPublic?: boolean | undefined;
}

export function announcedHosts(own: readonly string[], announcement: Announcement = {}): string[] {
  const told = own.filter((host) => isTold(host, announcement));
  return [...new Set([...(announcement.hosts ?? []), ...told])].slice(0, limits.recordEndpointsMax);
}

/** Of an address that this node found, not its user. */
export function isTold(host: string, { noLocal, noPublic }: Announcement = {}): boolean {
  return !(isLocalAddress(host) ? noLocal : noPublic);
}

/** Whether an address means something within a local network only (RFC 1918, 3927, 4193, 4291, 6598). */
export function isLocalAddress(host: string): boolean {
  if (isIPv4(host)) {
    const [a, b] = host.split('.').map(Number) as [number, number];
    if (a === 10 || a === 127) return true;
    if (a === 172) return b >= 16 && b < 32;
    if (a === 100) return b >= 64 && b < 128;
    return (a === 192 && b === 168) || (a === 169 && b === 254);
  }
  return isIPv6(host) && (host === '::1' || /^f[cd]|^fe[89ab]/i.test(host));
}
