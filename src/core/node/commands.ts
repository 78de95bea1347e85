// The composition root as the command line sees it: `Running` of cli/running.ts.

import { equalBytes } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import type {
  Acting,
  DrainFacts,
  OpenKeysOptions,
  RunKeyValueStoreOptions,
  RunNetworkOptions,
  Running,
  WorkerFacts,
} from '../cli/running.ts';
import type { KeyValueStoreDescriptor, LinkedNetworkDescriptor } from '../descriptor/descriptor.ts';
import { getKeyValueStore } from '../descriptor/key-value-stores.ts';
import { getLink } from '../descriptor/links.ts';
import { refuseWhileRunning } from '../descriptor/removal.ts';
import { connectDoor, openDoor } from '../gateway/kv/door.ts';
import { KvServer } from '../gateway/kv/server.ts';
import type { PeerIdentity } from '../peer/peer.ts';
import { parseEndpoint } from '../runtime/endpoint.ts';
import type { Endpoint } from '../runtime/runtime.ts';
import { inBackground, reporting } from './background.ts';
import { collectQueries } from './collecting.ts';
import { diagnose as examine } from './doctor/doctor.ts';
import { drainedFacts, drainLookMs, resign } from './draining.ts';
import { foundNetwork } from './found.ts';
import { type LinkedNode, openLinkedNode } from './link.ts';
import { metered, watchTree } from './metrics.ts';
import { askNetwork, insteadOfStandIns } from './running-network.ts';
import { serveScript } from './script.ts';
import { registerService } from './services.ts';
import {
  allSeeds,
  announcementOf,
  cacheBytesOf,
  joinNetwork,
  listenEndpoint,
  seedsOf,
  serveUntilStopped,
} from './serving.ts';
import { doorSocket, shorten } from './sockets.ts';
import { openKeyValueStore } from './trees.ts';

/** A process that ends takes no longer unless something is in use. */
const endingLookMs = 3000;

export const runNetwork: Running['runNetwork'] = async (options: RunNetworkOptions) => {
  const { context, as } = options;
  const link = await getLink(context, as, options.name);
  if (await inBackground(options, 'network', link.name)) return;
  await reporting(() => serveNetwork(metered(options, { network: link.name }), link));
};

async function serveNetwork(options: RunNetworkOptions, link: LinkedNetworkDescriptor): Promise<void> {
  const { context, as } = options;
  const listen = listenEndpoint(options, link.port);
  const announce = announcementOf(options);
  const rebalancing = { expand: options.rebalancingAutoExpand, inspectAtStart: options.rebalancingInspect };
  const role = 'storage';
  const { backgroundRate, scrubPeriodMs } = options;
  const work = { rebalancing, backgroundRate, scrubPeriodMs };
  const opening = { context, as, network: link.name, role, listen, announce, ...work } as const;
  const linked = await insteadOfStandIns(options, link.name, () => openLinkedNode(opening));
  try {
    await linked.node.start(await allSeeds(options, linked, options.warn), { signal: options.signal });
    await serveNode(options, link.name, linked);
    if (options.resignOnShutdown) await resign(linked.node, options);
  } finally {
    await linked.close();
  }
}

/** A script ends with its requests; what ends the node ends it too. */
async function serveNode(options: RunNetworkOptions, name: string, linked: LinkedNode): Promise<void> {
  const { script } = options;
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const serving = serveUntilStopped({ ...options, signal }, 'network', name, linked);
  try {
    if (script !== undefined) await Promise.race([serving, serveScript(linked, script)]);
  } finally {
    if (script !== undefined) ended.abort();
    await serving;
  }
}

export const inspectNetwork: Running['inspectNetwork'] = async ({ what, ...options }) => {
  const answer = await ask(options, what);
  return what === 'peers' ? { peers: answer } : (answer as Record<string, unknown>);
};

export const networkWorkers: Running['networkWorkers'] = async (options) => {
  if (options.scrub) await ask(options, 'scrub');
  return (await ask(options, 'workers')) as WorkerFacts[];
};

export const drainNetwork: Running['drainNetwork'] = async ({ cancel, progress, ...options }) => {
  const { name } = await getLink(options.context, options.as, options.name);
  const drain = async (action: string) => (await ask(options, 'drain', { action })) as DrainFacts;
  if (cancel) return { ...(await drain('cancel')), name };
  const status = () =>
    drain('status').catch((cause: unknown) => {
      if (!isError(asError(cause).cause, 'not-found')) throw cause;
      const message = `the node of network "${name}" ended before it was drained`;
      throw new InfinitError('unavailable', message, { cause, hint: 'start it again, and drain it then' });
    });
  const facts = await drainedFacts(await drain('start'), status, { ...options, progress });
  await drain('finish');
  await waitUntilEnded(options, name, () => progress(facts));
  return { ...facts, name };
};

/** The node has let go of its silos when its lock is free: a mount, once its files are closed. */
async function waitUntilEnded({ context, signal }: Acting, network: string, waiting: () => void): Promise<void> {
  const { clock } = context.runtime;
  for (let waitedMs = 0; ; waitedMs += drainLookMs) {
    if (waitedMs >= endingLookMs) waiting();
    try {
      return await refuseWhileRunning(context, network);
    } catch (error) {
      if (!isError(error, 'exists')) throw error;
    }
    await clock.sleep(drainLookMs, { signal });
  }
}

/** Asks the process that is this device's storage node. */
async function ask(
  { context, as, name }: Acting & { name: string },
  query: string,
  fields?: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const link = await getLink(context, as, name);
  try {
    return await askNetwork({ context, as }, link.name, query, fields);
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
    throw new InfinitError('unavailable', `network "${link.name}" is not running on this device`, {
      cause: error,
      hint: `infinit network run ${link.name}`,
    });
  }
}

export const publishNetwork: Running['publishNetwork'] = async ({ context, as, name, peers, signal }) => {
  const linked = await openLinkedNode({ context, as, network: name, role: 'client' });
  try {
    await linked.node.start(seedsOf({ ...(peers && { peers }) }, linked), { signal });
    return { nodes: await linked.node.publishDescriptor({ signal }) };
  } finally {
    await linked.close();
  }
};

export const networkSeen: Running['networkSeen'] = async ({ context, as, name, peers, signal }) => {
  const linked = await openLinkedNode({ context, as, network: name, role: 'client' });
  try {
    await linked.node.start(seedsOf({ ...(peers && { peers }) }, linked), { signal });
    return { nodes: linked.node.peers.connected().filter(({ identity }) => identity.kind === 'storage').length };
  } finally {
    await linked.close();
  }
};

export const runKeyValueStore: Running['runKeyValueStore'] = async (options: RunKeyValueStoreOptions) => {
  const { context, as } = options;
  const store = await getKeyValueStore(context, as, options.name);
  if (await inBackground(options, 'key-value-store', store.name)) return;
  await reporting(() => serveStore(metered(options, { network: store.network }), store));
};

async function serveStore(options: RunKeyValueStoreOptions, store: KeyValueStoreDescriptor): Promise<void> {
  const { context, as } = options;
  const link = await getLink(context, as, store.network);
  const tcpDoor = tcpDoorOf(options.door);
  const listen = tcpDoor ?? listenEndpoint(options, undefined);
  const linked = await joinNetwork(options, link.name, listen);
  const closers: (() => Promise<void>)[] = [() => linked.close()];
  try {
    const cacheBytesMax = cacheBytesOf(options);
    const opening = { door: true, cacheBytesMax, signal: options.signal };
    const { tree, keys } = await openKeyValueStore(linked, store, opening);
    closers.push(() => tree.stop());
    const { metrics } = context.runtime;
    if (metrics !== undefined) watchTree(metrics, store.name, tree);
    const named = (name: string) => {
      if (name === '' || name === store.name) return keys;
      throw new InfinitError('not-found', `this door serves "${store.name}", not "${name}"`);
    };
    for (const path of doorPaths(options, store.name)) closers.push(await openDoor(context.runtime, path, named));
    if (tcpDoor !== undefined) {
      const { peers } = linked.node;
      const server = new KvServer({ peers, clock: context.runtime.clock, store: named, admit: onlyUser(linked) });
      closers.push(async () => server.close());
    }
    if (options.registerService)
      await registerService(linked, { kind: 'key-value-store', descriptor: store }, { signal: options.signal });
    const queries = { tree: () => tree.status(), ...collectQueries(store.name, tree) };
    await serveUntilStopped(options, 'key-value-store', store.name, linked, { queries });
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** A door on the network opens to the user who runs it, on any of his devices: it speaks in his name. */
function onlyUser({ user }: LinkedNode): (caller: PeerIdentity) => void {
  return (caller) => {
    if (!equalBytes(caller.userKey, user.publicKey))
      throw new InfinitError('denied', 'this door serves its own user only');
  };
}

function tcpDoorOf(door: string | undefined): Endpoint | undefined {
  return door === undefined || door.startsWith('unix:') ? undefined : parseEndpoint(door);
}

/** The socket where commands of this home look, and the one asked for. */
function doorPaths(options: RunKeyValueStoreOptions, name: string): string[] {
  const own = doorSocket(options.context.home, options.as, name);
  const asked = options.door?.startsWith('unix:') ? shorten(options.door.slice('unix:'.length)) : own;
  return [...new Set([own, asked])];
}

export const openKeys: Running['openKeys'] = async (options: OpenKeysOptions) => {
  const { context, as } = options;
  const store = await getKeyValueStore(context, as, options.name);
  try {
    return await connectDoor(context.runtime, doorSocket(context.home, as, store.name), store.name);
  } catch (error) {
    if (!isError(error, 'unavailable')) throw error;
  }
  const linked: LinkedNode = await openLinkedNode({
    context,
    as,
    network: store.network,
    role: 'client',
    listen: { host: '0.0.0.0', port: 0 },
  });
  try {
    await linked.node.start(seedsOf(options, linked), { signal: options.signal });
    const { tree, keys } = await openKeyValueStore(linked, store, { door: false, signal: options.signal });
    const close = async () => {
      try {
        await tree.stop();
      } finally {
        await linked.close();
      }
    };
    return { keys, close };
  } catch (error) {
    await linked.close();
    throw error;
  }
};

export const diagnose: Running['diagnose'] = ({ groups, ...surroundings }) => examine(surroundings, groups);

export { collect } from './collecting.ts';
export { destroy } from './destroying.ts';
export { measureThroughput, serveThroughput } from './doctor/networking.ts';
export { runHub } from './hub.ts';
export { forgetRefused, journalOperation, journalOperations, journalStat } from './late/journal-commands.ts';
export { fetchServices, listServices, registerService } from './service-commands.ts';
export { createVolumeRoot, runVolume, stopVolume, volumeAttribute, volumeStatus } from './volume-commands.ts';

export const found: Running['found'] = ({ context, as }, link, seal) => foundNetwork(context, as, link, seal);
export { recoverNetwork } from './recovering.ts';
