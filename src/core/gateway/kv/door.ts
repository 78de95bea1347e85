// Opening the key-value door on a Unix socket, from both sides.

import { keyPairFromSeed } from '../../crypto/keys.ts';
import type { Peers } from '../../peer/peer.ts';
import { createPeers } from '../../peer/peers.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { KeyStore } from '../../volume/keys.ts';
import { KvClient } from './client.ts';
import { localAdmission } from './local-admission.ts';
import { KvServer } from './server.ts';
import { unixTransport } from './unix-transport.ts';

function localPeers(runtime: Runtime): Peers {
  const identity = keyPairFromSeed(runtime.random.bytes(32));
  return createPeers({
    runtime: { ...runtime, transport: unixTransport },
    identity,
    admission: localAdmission(identity.publicKey),
  });
}

/** Serves stores on a socket; resolves to what closes it. Throws `exists` when another process listens there. */
export async function openDoor(
  runtime: Runtime,
  path: string,
  store: (name: string) => KeyStore,
): Promise<() => Promise<void>> {
  const peers = localPeers(runtime);
  const server = new KvServer({ peers, clock: runtime.clock, store, admit: () => {} });
  await peers.start();
  await peers.listen({ host: path, port: 0 });
  return async () => {
    server.close();
    await peers.stop();
  };
}

/** A client of the door on that socket. Throws `unavailable` when nobody listens; connects again when the door restarted. */
export async function connectDoor(
  runtime: Runtime,
  path: string,
  store: string,
): Promise<{ keys: KeyStore; close: () => Promise<void> }> {
  const peers = localPeers(runtime);
  await peers.start();
  const endpoints = [{ host: path, port: 0 }];
  let current = peers.connect({ endpoints });
  const peer = async () => {
    const known = await current.catch(() => undefined);
    if (!known?.open) current = peers.connect({ endpoints });
    return current;
  };
  try {
    await current;
  } catch (error) {
    await peers.stop();
    throw error;
  }
  return { keys: new KvClient(peer, store), close: () => peers.stop() };
}
