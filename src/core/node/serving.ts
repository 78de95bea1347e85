// What every long-running command does around its work: listens as asked, writes the files asked for, answers the monitoring
// socket, tells that it serves, waits for the stop.

import { rm } from 'node:fs/promises';
import { utf8 } from '../base/bytes.ts';
import { asError, InfinitError } from '../base/errors.ts';
import type { CacheSizes, Presence, RunOptions } from '../cli/running.ts';
import { formatEndpoint, parseEndpoint } from '../runtime/endpoint.ts';
import type { Endpoint } from '../runtime/runtime.ts';
import type { Announcement } from './announcement.ts';
import { reportReady } from './daemon.ts';
import { keepNearby, seedsNearby } from './discovery/nearby.ts';
import { Draining } from './draining.ts';
import { keepOnHub, seedsFromHub } from './hub-presence.ts';
import { inspections } from './inspect.ts';
import { type Context, type LinkedNode, openLinkedNode } from './link.ts';
import { openMetrics, watchNode } from './metrics.ts';
import { type Queries, serveMonitor } from './monitor.ts';
import type { Node } from './node.ts';
import { keepForwarded } from './port-mapping/forwarded.ts';
import { monitorSocket, pidFile, type Role } from './sockets.ts';

const peersFilePeriodMs = 10_000;
/** Twice in a row short: growth had the time. */
const redundancyPeriodMs = 30_000;
const anyHost = '0.0.0.0';

export function listenEndpoint(presence: Presence, linkPort: number | undefined): Endpoint {
  return { host: presence.listen ?? anyHost, port: presence.port ?? linkPort ?? 0 };
}

export function announcementOf(presence: Presence): Announcement {
  const { advertiseHosts: hosts, noLocalEndpoints: noLocal, noPublicEndpoints: noPublic } = presence;
  return { hosts, noLocal, noPublic };
}

const uncachedBytes = 1024 * 1024;

/** Half of the memory asked for goes to tree nodes, half to cells; `--cache=false` leaves what a walk down the tree needs. */
export function cacheBytesOf({ cache, ramBytes }: CacheSizes): number | undefined {
  if (cache === false) return uncachedBytes;
  return ramBytes === undefined ? undefined : Math.max(uncachedBytes, Math.floor(ramBytes / 2));
}

/** Endpoints to meet the network at: those given, then those of the descriptor. */
export function seedsOf(presence: { peers?: readonly string[] }, linked: LinkedNode): Endpoint[] {
  return [...(presence.peers ?? []), ...(linked.link.network.peers ?? [])].map(parseEndpoint);
}

/** The same, where the hub says others are, and who answers on the local network. */
export async function allSeeds(
  presence: Pick<Presence, 'peers' | 'hub' | 'mdns'>,
  linked: LinkedNode,
  warn: (text: string) => void,
): Promise<Endpoint[]> {
  const nearby = presence.mdns ? await seedsNearby(linked) : [];
  return [...seedsOf(presence, linked), ...(await seedsFromHub(presence.hub, linked, warn)), ...nearby];
}

/** What a process answers besides; and, unless it can end at once when its node has left the network, how it then goes on. */
export interface Service {
  queries?: Queries;
  /** Resolves when the process may end. */
  left?: () => Promise<void>;
}

/**
 * Node or client of a network, started; beside another node of this device a client that stands in for it when it ends. With a
 * `patienceMs` it does not wait for the network any longer: it goes on joining beside, and says why when it cannot.
 */
export async function joinNetwork(
  options: RunOptions,
  network: string,
  listen: Endpoint,
  patienceMs?: number,
): Promise<LinkedNode> {
  const { context, as, signal, warn } = options;
  const announce = announcementOf(options);
  const linked = await openLinkedNode({ context, as, network, role: 'either', listen, announce });
  const start = async () => {
    const seeds = await allSeeds(options, linked, warn);
    await linked.node.start(seeds, { signal });
    linked.standIn?.begin(seeds);
  };
  try {
    const started = start();
    if (patienceMs === undefined) await started;
    else {
      const told = started.catch((error: unknown) => {
        if (!signal.aborted) warn(asError(error).message);
      });
      await Promise.race([told, context.runtime.clock.sleep(patienceMs, { signal })]);
    }
    return linked;
  } catch (error) {
    await linked.close();
    throw error;
  }
}

/** Serves until the signal fires, or the node has left the network. Files and sockets are removed again. */
export async function serveUntilStopped(
  options: RunOptions,
  role: Role,
  name: string,
  linked: LinkedNode,
  service: Service = {},
): Promise<void> {
  const { context, as } = options;
  const { node, standIn } = linked;
  const pids = pidFile(context.home, role, as, name);
  const closers: (() => Promise<void>)[] = [];
  const own = tended(options, linked);
  closers.push(own.close);
  let standing: Tended | undefined;
  try {
    const told = await openMetrics(options);
    if (told !== undefined) closers.push(told.close);
    if (options.monitoring) {
      const path = monitorSocket(context.home, role, as, name);
      const nodes = (): [Node, ...Node[]] => (standing === undefined ? [node] : [standing.node, node]);
      closers.push(
        await serveMonitor(path, {
          ...inspections(nodes),
          drain: ({ action }) => drainingOf(standing ?? own).act(action),
          'give-way': async () => {
            await standIn?.giveWay();
            return {};
          },
          metrics: () => ({ endpoint: told?.endpoint ?? null }),
          ...service.queries,
        }),
      );
    }
    await writePresence(options, linked);
    await writeFile(context, pids, `${process.pid}\n`);
    closers.push(() => rm(pids, { force: true }));
    closers.push(keepPeersFile(options, linked));
    const untend = await standIn?.tendedBy((storage) => {
      const here = (standing = tended(options, storage));
      void stopped(here.left).then(() => standIn.giveWay());
      void writePresence(options, storage).catch((error: unknown) => options.warn(asError(error).message));
      return async () => {
        standing = undefined;
        await here.close();
      };
    });
    if (untend !== undefined) closers.push(untend);
    const ready = { endpoints: node.endpoints().map(formatEndpoint), pid: process.pid };
    options.ready(ready);
    reportReady(ready);
    const ends = [stopped(options.signal), ...(own.draining ? [stopped(own.left).then(service.left)] : [])];
    const outdated = await Promise.race([...ends, node.outdated]);
    if (outdated !== undefined) throw outdated;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

interface Tended {
  node: Node;
  /** Of a storage node. */
  draining: Draining | undefined;
  /** Fires when it is drained and to end. */
  left: AbortSignal;
  close(): Promise<void>;
}

/** What goes on for a node while it serves. */
function tended(options: RunOptions, linked: LinkedNode): Tended {
  const { node, isStorage } = linked;
  const { metrics } = node.runtime;
  const draining = node.drain && new Draining(node.drain);
  const forget = metrics === undefined ? () => {} : watchNode(metrics, linked);
  const ends = [keepOnHub(options.hub, linked, options.warn)];
  if (options.mdns) ends.push(keepNearby(linked));
  if (options.portMapping && isStorage) ends.push(keepForwarded(linked));
  if (isStorage) ends.push(watchRedundancy(options, linked));
  const close = async () => {
    draining?.giveUp();
    forget();
    for (const end of ends) await end();
  };
  return { node, draining, left: draining?.left ?? new AbortController().signal, close };
}

function drainingOf({ draining }: Tended): Draining {
  if (draining === undefined) throw new InfinitError('unsupported', 'this process keeps nothing of the network');
  return draining;
}

/** Resolves when a stop is asked for. */
export function stopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

async function writePresence(options: RunOptions, { node }: LinkedNode): Promise<void> {
  const endpoints = node.endpoints();
  const port = endpoints[0]?.port;
  if (options.portFile !== undefined && port !== undefined)
    await writeFile(options.context, options.portFile, `${port}\n`);
  if (options.endpointsFile !== undefined) {
    await writeFile(
      options.context,
      options.endpointsFile,
      endpoints.map((endpoint) => `${formatEndpoint(endpoint)}\n`).join(''),
    );
  }
}

function keepPeersFile(options: RunOptions, { node }: LinkedNode): () => Promise<void> {
  const { peersFile, context } = options;
  if (peersFile === undefined) return async () => {};
  let cancel = () => {};
  const write = async () => {
    const lines = node.overlay
      .nodes()
      .flatMap((record) => record.endpoints.map((endpoint) => `${formatEndpoint(endpoint)}\n`));
    await writeFile(context, peersFile, lines.join('')).catch((error: Error) =>
      options.warn(`${peersFile}: ${error.message}`),
    );
    cancel = node.runtime.clock.after(peersFilePeriodMs, () => void write());
  };
  void write();
  return async () => cancel();
}

/** Says so once when registers stay short of members although nodes enough are known, and again when that was over and returns. */
function watchRedundancy(options: RunOptions, { node }: LinkedNode): () => Promise<void> {
  let cancel = () => {};
  let before = 0;
  let told = false;
  const look = async () => {
    const wanted = Math.min(node.network().consensus['replication-factor'], node.overlay.nodes().length);
    let short = 0;
    for await (const { members } of node.heldRegisters()) if (members < wanted) short++;
    if (short > 0 && before > 0 && !told) {
      options.warn(
        `${short} registers have fewer than ${wanted} members although ${node.overlay.nodes().length} nodes are known`,
      );
    }
    told = short > 0 && (told || before > 0);
    before = short;
  };
  const again = () => {
    cancel = node.runtime.clock.after(
      redundancyPeriodMs,
      () =>
        void look()
          .catch(() => {})
          .then(again),
    );
  };
  again();
  return async () => cancel();
}

async function writeFile(context: Context, path: string, text: string): Promise<void> {
  const folder = path.slice(0, path.lastIndexOf('/'));
  if (folder !== '') await context.runtime.files.makeDirectory(folder);
  await context.runtime.files.replace(path, utf8(text), { mode: 0o600 });
}
