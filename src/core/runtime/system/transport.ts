// The network: TLS 1.3 between Ed25519 keys. Certificates are self-signed and mean nothing but their public key, so OpenSSL is
// told to accept any; both sides look at the raw key themselves before a connection exists for anybody else.

import { constants } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import type { AddressInfo, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import tls, { type ConnectionOptions, type SecureContext, type TLSSocket } from 'node:tls';
import { equalBytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { cancelled } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { formatEndpoint } from '../endpoint.ts';
import type { Carrier, Connection, Endpoint, Listener, Transport, TransportIdentity } from '../runtime.ts';
import { CarrierStream } from './carrier-stream.ts';
import { selfSigned } from './certificate.ts';
import { SystemConnection } from './connection.ts';

const ciphers = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
const version = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;
const application = 'infinit';
/** Of an Ed25519 key in SubjectPublicKeyInfo form, before its 32 raw bytes. */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');
/** Sockets accepted whose handshake is not done; more are dropped. */
const handshakesMax = 256;

interface Credentials {
  readonly cert: string;
  readonly key: string;
  readonly context: SecureContext;
}
const credentials = new WeakMap<TransportIdentity, Credentials>();

function credentialsOf(identity: TransportIdentity): Credentials {
  const cached = credentials.get(identity);
  if (cached) return cached;
  const { certificate: cert, privateKey: key } = selfSigned(identity);
  const made = {
    cert,
    key,
    context: tls.createSecureContext({ ...version, ciphers, cert, key, secureOptions: constants.SSL_OP_NO_TICKET }),
  };
  credentials.set(identity, made);
  return made;
}

/** The proved key of the other side, or undefined when it showed no Ed25519 certificate. To be read once a socket. */
function provedKey(socket: TLSSocket): Buffer | undefined {
  try {
    const spki = socket.getPeerX509Certificate()?.publicKey.export({ format: 'der', type: 'spki' });
    if (!spki || spki.length !== spkiPrefix.length + 32 || !spki.subarray(0, spkiPrefix.length).equals(spkiPrefix))
      return undefined;
    return Buffer.from(spki.subarray(spkiPrefix.length));
  } catch {
    return undefined;
  }
}

/** With a shorter handshake timeout for tests. */
export function createSystemTransport(options: { handshakeTimeoutMs?: number } = {}): Transport {
  const { handshakeTimeoutMs = limits.handshakeTimeoutMs } = options;
  return {
    dial,
    listen: (at, identity, accept) => listen(at, identity, accept, handshakeTimeoutMs),
    secure,
    localAddresses,
    resolve: resolveHost,
  };
}

export const systemTransport = createSystemTransport();

type DialOptions = NonNullable<Parameters<Transport['dial']>[2]>;

function dial(endpoint: Endpoint, identity: TransportIdentity, options: DialOptions = {}): Promise<Connection> {
  const { host, port } = endpoint;
  return proved((secured) => connecting({ host, port }, identity, secured), endpoint, options);
}

function connecting(to: ConnectionOptions, identity: TransportIdentity, secured: (socket: TLSSocket) => void): Duplex {
  const socket = tls.connect({ ...to, ...diallerOptions(identity) });
  return socket.once('secureConnect', () => secured(socket));
}

function diallerOptions(identity: TransportIdentity): ConnectionOptions {
  return {
    secureContext: credentialsOf(identity).context,
    ...version,
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    servername: application,
    ALPNProtocols: [application],
  };
}

type SecureOptions = Parameters<Transport['secure']>[3];

function secure(
  carrier: Carrier,
  side: 'dialler' | 'listener',
  identity: TransportIdentity,
  options: SecureOptions = {},
): Promise<Connection> {
  const stream = new CarrierStream(carrier);
  const begin = (secured: (socket: TLSSocket) => void): Duplex => {
    if (side === 'dialler') return connecting({ socket: stream }, identity, secured);
    const server = tls.createServer({ ...listenerOptions(identity), handshakeTimeout: limits.handshakeTimeoutMs });
    server.once('secureConnection', secured);
    server.once('tlsClientError', (error) => stream.destroy(error));
    server.emit('connection', stream);
    return stream;
  };
  return proved(begin, carrier.remote, options);
}

/** A socket as a connection, once its handshake has proved an Ed25519 key, and the expected one if there is one. */
function proved(
  begin: (secured: (socket: TLSSocket) => void) => Duplex,
  endpoint: Endpoint,
  options: DialOptions,
): Promise<Connection> {
  const { expectedKey, signal, timeoutMs = limits.handshakeTimeoutMs } = options;
  const where = formatEndpoint(endpoint);
  return new Promise<Connection>((resolve, reject) => {
    const settled = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      below.removeListener('error', broken);
      below.removeListener('close', hungUp);
    };
    const fail = (error: InfinitError) => {
      settled();
      below.on('error', () => {});
      below.destroy();
      reject(error);
    };
    const broken = (error: Error) =>
      fail(new InfinitError('unavailable', `${where}: ${error.message}`, { cause: error }));
    const hungUp = () => fail(new InfinitError('unavailable', `${where} hung up`));
    const abort = () => fail(cancelled(signal));
    const below = begin((socket) => {
      const key = provedKey(socket);
      if (!key) return fail(new InfinitError('denied', `no Ed25519 key proved at ${where}`));
      if (expectedKey && !equalBytes(expectedKey, key))
        return fail(new InfinitError('denied', `another key answers at ${where}`));
      settled();
      resolve(new SystemConnection(socket, key, endpoint));
    });
    const timer = setTimeout(() => fail(new InfinitError('unavailable', `no answer from ${where}`)), timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    below.on('error', broken);
    below.on('close', hungUp);
    if (signal?.aborted) abort();
  });
}

function listenerOptions(identity: TransportIdentity): tls.TlsOptions {
  const { cert, key } = credentialsOf(identity);
  return {
    ...version,
    ciphers,
    cert,
    key,
    // No resumption: every connection proves its key anew.
    secureOptions: constants.SSL_OP_NO_TICKET,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: [application],
  };
}

function listen(
  at: Endpoint,
  identity: TransportIdentity,
  accept: (connection: Connection) => void,
  handshakeTimeoutMs: number,
): Promise<Listener> {
  return new Promise<Listener>((resolve, reject) => {
    const greeting = new Map<string, Socket>();
    const nameOf = (socket: Socket) => `${socket.remoteAddress} ${socket.remotePort}`;
    const server = tls.createServer({ ...listenerOptions(identity), handshakeTimeout: handshakeTimeoutMs });
    server.on('connection', (socket: Socket) => {
      if (greeting.size >= handshakesMax) {
        socket.destroy();
        return;
      }
      const name = nameOf(socket);
      greeting.set(name, socket);
      socket.once('close', () => greeting.delete(name));
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    server.on('secureConnection', (socket) => {
      socket.on('error', () => {});
      greeting.delete(nameOf(socket));
      const remoteKey = provedKey(socket);
      if (!remoteKey || !server.listening) {
        socket.destroy();
        return;
      }
      const remote = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
      accept(new SystemConnection(socket, remoteKey, remote));
    });
    server.once('error', (error) => reject(listenError(error, at)));
    server.listen({ host: at.host, port: at.port }, () => {
      server.on('error', () => {});
      const { port } = server.address() as AddressInfo;
      resolve({ endpoint: { host: at.host, port }, close: () => stopListening(server, greeting.values()) });
    });
  });
}

function localAddresses(): string[] {
  const found = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    // Link-local addresses mean nothing on another host.
    .filter((one) => !one.internal && !/^fe[89ab]/i.test(one.address) && !one.address.startsWith('169.254.'))
    .map((one) => one.address);
  return found.length > 0 ? found : ['127.0.0.1'];
}

async function resolveHost(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map((one) => one.address);
  } catch {
    return [];
  }
}

/** Stops accepting; connections that exist are their owners', handshakes under way end. */
function stopListening(server: tls.Server, greeting: Iterable<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close();
    for (const socket of greeting) socket.destroy();
    setImmediate(resolve);
  });
}

function listenError(error: NodeJS.ErrnoException, at: Endpoint): InfinitError {
  const where = `${at.host}:${at.port}`;
  if (error.code === 'EADDRINUSE')
    return new InfinitError('exists', `port ${at.port} is taken`, { hint: 'choose another with --port', cause: error });
  if (error.code === 'EACCES') return new InfinitError('denied', `may not listen on ${where}`, { cause: error });
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND')
    return new InfinitError('usage', `${at.host} is no address of this host`, { cause: error });
  return new InfinitError('unavailable', `cannot listen on ${where}: ${error.message}`, { cause: error });
}
