// The way to a hub: HTTPS, or HTTP where the address says so; sizes and times bounded.

import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { isLoopback } from '../../runtime/endpoint.ts';
import type { HubConnection, HubRequest, HubResponse } from '../hub.ts';

/** `url` as people give it: `https://hub.example.org`, `http://127.0.0.1:8042`; without a scheme HTTPS. Throws `usage`. */
export function httpConnection(url: string): HubConnection {
  const target = parseHubUrl(url);
  const isExposed = target.protocol === 'http:' && !isLoopback(hostOf(target));
  return { host: target.host, isExposed, exchange: (request) => exchange(target, request) };
}

export function parseHubUrl(url: string): URL {
  try {
    const parsed = new URL(/^[a-z]+:\/\//i.test(url) ? url : `https://${url}`);
    if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') throw new Error('another scheme');
    if (parsed.pathname !== '/' || parsed.search !== '' || parsed.username !== '') throw new Error('more than a host');
    return parsed;
  } catch (cause) {
    throw new InfinitError('usage', `${JSON.stringify(url.slice(0, 300))} is no address of a hub`, {
      hint: 'such as https://hub.example.org',
      cause,
    });
  }
}

/** IPv6 without brackets. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

type Request = Pick<HubRequest, 'method' | 'path' | 'query' | 'headers' | 'body'>;

function exchange(target: URL, { method, path, query, headers, body }: Request): Promise<HubResponse> {
  const send = target.protocol === 'https:' ? secureRequest : plainRequest;
  const present = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return new Promise((resolve, reject) => {
    let sent = false;
    const fail = (cause: unknown) => reject(unreachable(target, cause, sent));
    const outgoing = send({
      hostname: hostOf(target),
      port: target.port === '' ? undefined : Number(target.port),
      method,
      path: query === '' ? path : `${path}?${query}`,
      headers: { ...Object.fromEntries(present), host: target.host, 'content-length': body.length },
      agent: false,
      signal: AbortSignal.timeout(limits.hubCallTimeoutMs),
    });
    outgoing.on('error', fail);
    outgoing.on('socket', (socket) => socket.once('connect', () => (sent = true)));
    outgoing.on('response', (incoming) => {
      const pieces: Buffer[] = [];
      let bytes = 0;
      incoming.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (bytes > limits.hubAnswerBytesMax) incoming.destroy(new Error('the answer is too long'));
        else pieces.push(piece);
      });
      incoming.on('error', fail);
      incoming.on('end', () => {
        const { 'content-type': type = '' } = incoming.headers;
        const answer = { headers: { 'content-type': type }, body: Buffer.concat(pieces) };
        resolve({ status: incoming.statusCode ?? 0, ...answer });
      });
    });
    outgoing.end(body);
  });
}

/** `data.sent`: the hub may have done it. */
function unreachable(target: URL, cause: unknown, sent: boolean): InfinitError {
  const reason = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : String(cause);
  return new InfinitError('unavailable', `the hub ${target.origin} does not answer: ${reason}`, {
    cause,
    data: { sent },
  });
}
