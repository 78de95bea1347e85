// The hub on HTTP, or HTTPS with a certificate: sockets, sizes and times bounded; what a request means is `api.ts`.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { formatEndpoint } from '../../runtime/endpoint.ts';
import type { HubRequest, HubResponse } from '../hub.ts';
import { HubApi, type HubOptions } from './api.ts';

export interface ServeOptions extends HubOptions {
  listen: { host: string; port: number };
  /** PEM; without it requests travel in the clear. */
  tls?: { certificate: Buffer; key: Buffer } | undefined;
}

export interface HubServer {
  /** `http://host:port`. */
  readonly url: string;
  readonly port: number;
  /** Answers what is under way, then ends. */
  close(): Promise<void>;
}

/** Throws `exists` when the port is taken, `usage` for a certificate that does not fit its key. */
export async function serveHub(options: ServeOptions): Promise<HubServer> {
  const api = await HubApi.open(options);
  const server = makeServer(options.tls, (request, response) => void answer(api, request, response));
  server.maxConnections = limits.hubConnectionsMax;
  server.headersTimeout = limits.hubRequestTimeoutMs;
  server.requestTimeout = limits.hubRequestTimeoutMs;
  server.keepAliveTimeout = limits.hubIdleTimeoutMs;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  });
  await listen(server, options.listen);
  const { port } = server.address() as AddressInfo;
  const scheme = options.tls ? 'https' : 'http';
  return {
    url: `${scheme}://${formatEndpoint({ host: options.listen.host, port })}`,
    port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      await closed;
    },
  };
}

function makeServer(tls: ServeOptions['tls'], listener: (request: IncomingMessage, response: ServerResponse) => void) {
  if (tls === undefined) return createServer(listener);
  try {
    return createSecureServer({ cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2' }, listener);
  } catch (cause) {
    throw new InfinitError('usage', 'the certificate and its key cannot be used', { cause });
  }
}

async function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (cause) {
    const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
    throw new InfinitError(taken ? 'exists' : 'unavailable', `cannot listen on ${host}:${port}`, { cause });
  }
}

async function answer(api: HubApi, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  try {
    const body = await bodyOf(incoming);
    if (body === undefined) {
      const response = api.handleTooLong(requestOf(incoming, Buffer.alloc(0)));
      return send(outgoing, { ...response, headers: { ...response.headers, connection: 'close' } });
    }
    send(outgoing, await api.handle(requestOf(incoming, body)));
  } catch {
    outgoing.destroy(); // the client is gone
  }
}

function send(outgoing: ServerResponse, { status, headers, body }: HubResponse): void {
  outgoing.writeHead(status, {
    ...headers,
    'content-length': body.length,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'content-security-policy':
      "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  });
  outgoing.end(body);
}

/** The whole body; undefined when it is too long. */
async function bodyOf(incoming: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(incoming.headers['content-length'] ?? 0) > limits.hubBodyBytesMax) return undefined;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of incoming) {
    bytes += (piece as Buffer).length;
    if (bytes > limits.hubBodyBytesMax) return undefined;
    pieces.push(piece as Buffer);
  }
  return Buffer.concat(pieces);
}

function requestOf(incoming: IncomingMessage, body: Buffer): HubRequest {
  const [path = '/', ...rest] = (incoming.url ?? '/').split('?');
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
  return {
    method: incoming.method ?? 'GET',
    host: incoming.headers.host ?? '',
    path,
    query: rest.join('?'),
    headers,
    body,
    remote: incoming.socket.remoteAddress ?? '',
  };
}
