// Connections between processes of one home: a Unix socket that only its user can open, in a folder only its user can enter. The
// file system is the authentication; the keys exchanged only tell sessions apart.

import { chmod, rm } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { InfinitError } from '../../base/errors.ts';
import { publicKeyBytes } from '../../crypto/keys.ts';
import type { Connection, Endpoint, Listener, Transport, TransportIdentity } from '../../runtime/runtime.ts';
import { SystemConnection } from '../../runtime/system/connection.ts';
import { checkSocketOwner, makeSocketFolder } from '../../runtime/system/socket-files.ts';

const nobody: Endpoint = { host: '', port: 0 };
const helloTimeoutMs = 5000;

/** A transport whose hosts are socket paths and whose ports mean nothing. */
export const unixTransport: Transport = {
  async dial(endpoint: Endpoint, identity: TransportIdentity): Promise<Connection> {
    await checkSocketOwner(endpoint.host);
    const socket = await connect(endpoint.host);
    return exchange(socket, identity, endpoint);
  },

  async listen(at: Endpoint, identity: TransportIdentity, accept: (connection: Connection) => void): Promise<Listener> {
    const path = at.host;
    await makeSocketFolder(path);
    await removeStale(path);
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      exchange(socket, identity, nobody).then(accept, () => socket.destroy());
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => reject(new InfinitError('unavailable', `cannot listen on ${path}`, { cause })));
      server.listen(path, resolve);
    });
    await chmod(path, 0o600);
    const close = async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    };
    return { endpoint: { host: path, port: 0 }, close };
  },

  secure: async () => {
    throw new InfinitError('unsupported', 'nobody carries connections within a home');
  },
  localAddresses: () => [],
  resolve: async (host) => [host],
};

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (cause) => reject(new InfinitError('unavailable', `nobody listens on ${path}`, { cause })));
  });
}

/** A path nobody answers on is left by a process that died. Throws `exists` when somebody does. */
async function removeStale(path: string): Promise<void> {
  let answering: Socket;
  try {
    answering = await connect(path);
  } catch {
    await rm(path, { force: true });
    return;
  }
  answering.destroy();
  throw new InfinitError('exists', `another process listens on ${path}`);
}

/** Each side sends its key first. */
function exchange(socket: Socket, identity: TransportIdentity, remote: Endpoint): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const fail = (message: string) => {
      socket.destroy();
      reject(new InfinitError('unavailable', message));
    };
    const timer = setTimeout(() => fail('the other process says nothing'), helloTimeoutMs);
    const ended = () => fail('the other process closed the connection');
    socket.on('error', ended);
    socket.on('close', ended);
    socket.write(identity.publicKey);
    const read = () => {
      const key = socket.read(publicKeyBytes) as Buffer | null;
      if (key === null) return;
      clearTimeout(timer);
      for (const [event, listener] of [
        ['readable', read],
        ['error', ended],
        ['close', ended],
      ] as const)
        socket.off(event, listener);
      if (key.length < publicKeyBytes) fail('the other process speaks another protocol');
      else resolve(new SystemConnection(socket, key, remote));
    };
    socket.on('readable', read);
  });
}
