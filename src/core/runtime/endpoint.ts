// Endpoints as text: `host:port`, IPv6 hosts in brackets.

import { InfinitError } from '../base/errors.ts';
import type { Endpoint } from './runtime.ts';

/** Throws `usage`. */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%[0-9A-Za-z._-]+)?)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new InfinitError('usage', `not an endpoint (HOST:PORT): ${text}`);
  return { host: (match[1] ?? match[2]) as string, port };
}

export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
