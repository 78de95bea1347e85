// Endpoints as text (`host:port`, IPv6 hosts in brackets, ids of a relayed one before them) and as bytes.

import { type Codec, struct, text, u16 } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import type { Endpoint } from './runtime.ts';

export const endpoint: Codec<Endpoint> = struct({ host: text(255), port: u16 });

/** Throws `usage`. */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[((?:[\w-]+@){0,2}[0-9a-fA-F:.]+(?:%[0-9A-Za-z._-]+)?)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(
    text.trim(),
  );
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new InfinitError('usage', `not an endpoint (HOST:PORT): ${text}`);
  return { host: (match[1] ?? match[2]) as string, port };
}

/** Whether a host is this machine for certain. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
