// What a node and a volume tell whoever watches: the original's names where it had them. Walks over everything kept are made now
// and then, not at every reading.

import { toBase64 } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import type { Metrics, Reading, Sample } from '../base/metrics.ts';
import type { Acting } from '../cli/running.ts';
import type { Tree } from '../tree/tree.ts';
import type { Context, LinkedNode } from './link.ts';
import { metricsEndpoint, processMetrics, type ServedMetrics, serveMetrics } from './metrics-server.ts';
import type { Node } from './node.ts';

const registersPeriodMs = 30_000;

/** The options with a runtime that measures, when metrics are asked for. */
export function metered<T extends { context: Context; prometheus?: string }>(
  options: T,
  labels: Readonly<Record<string, string>>,
): T {
  if (options.prometheus === undefined) return options;
  metricsEndpoint(options.prometheus);
  const { context } = options;
  return { ...options, context: { ...context, runtime: { ...context.runtime, metrics: processMetrics(labels) } } };
}

/** Serves what the runtime measures; undefined when it does not, or when somebody else has the port, which is said. */
export async function openMetrics({
  context,
  prometheus,
  warn,
}: Pick<Acting, 'context' | 'warn'> & { prometheus?: string }): Promise<ServedMetrics | undefined> {
  const { metrics } = context.runtime;
  if (metrics === undefined || prometheus === undefined) return undefined;
  try {
    return await serveMetrics(metrics, metricsEndpoint(prometheus));
  } catch (error) {
    if (!isError(error, 'exists', 'unavailable')) throw error;
    warn(`no metrics are told: ${error.message}`);
    return undefined;
  }
}

/** From now on the metrics tell of the node, until what it gives is called. */
export function watchNode(metrics: Metrics, { node, silos, isStorage }: LinkedNode): () => void {
  const id = toBase64(node.peers.self.id);
  const own = (value: number): Sample[] => [{ labels: { id }, value }];
  const forgetNode = metrics.source(() => [
    gauge('overlay_peers', 'Other nodes known to be alive.', own(alivePeers(node))),
    gauge('connections', 'Open connections to other nodes and clients.', own(node.peers.connected().length)),
  ]);
  if (!isStorage) return forgetNode;
  const perSilo = (value: (usage: ReturnType<(typeof silos)[number]['silo']['usage']>) => number): Sample[] =>
    silos.map(({ name, type, silo }) => ({ labels: { id, silo: name, type }, value: value(silo.usage()) }));
  const registers = new RegisterCensus(node);
  const forgetStorage = metrics.source(async () => [
    gauge(
      'storage_blocks',
      'Blocks in the silo.',
      perSilo(({ blocks }) => blocks),
    ),
    gauge(
      'storage_bytes',
      'Bytes used in the silo.',
      perSilo(({ usedBytes }) => usedBytes),
    ),
    gauge(
      'storage_free_bytes',
      'Bytes that may still be put into the silo.',
      perSilo(({ freeBytes }) => freeBytes),
    ),
    ...(await copies(node, registers, own)),
    ...workers(node, id),
  ]);
  return () => {
    forgetNode();
    forgetStorage();
  };
}

function alivePeers({ overlay, peers }: Node): number {
  const own = toBase64(peers.self.id);
  return overlay.nodes().filter(({ id }) => toBase64(id) !== own && overlay.liveness(id) === 'alive').length;
}

async function copies(node: Node, registers: RegisterCensus, own: (value: number) => Sample[]): Promise<Reading[]> {
  const { consensus } = node.network();
  const told = node.blocks?.redundancy(consensus['eviction-delay']);
  const { held, reachable, short, underQuorum } = await registers.now(consensus['replication-factor']);
  const immutable = told?.blocks ?? 0;
  const good = immutable - (told?.bad ?? 0);
  return [
    gauge('blocks', 'Immutable blocks and registers kept here.', own(immutable + held)),
    gauge('reachable_blocks', 'Of them, those that can be read.', own(good + reachable)),
    gauge('reachable_mutable_blocks', 'Registers kept here that a majority of members serves.', own(reachable)),
    gauge('reachable_immutable_blocks', 'Immutable blocks here that are not rotten.', own(good)),
    gauge('missing_immutable_blocks', 'Blocks to be held here and not here yet.', own(told?.missing ?? 0)),
    gauge('underreplicated_immutable_blocks', 'Blocks here with too few copies.', own(told?.underReplicated ?? 0)),
    gauge('overreplicated_immutable_blocks', 'Blocks here that others hold instead.', own(told?.surplus ?? 0)),
    gauge('underreplicated_mutable_blocks', 'Registers here with too few members.', own(short)),
    gauge('under_quorum_mutable_blocks', 'Registers here that no majority of members serves.', own(underQuorum)),
  ];
}

function workers(node: Node, id: string): Reading[] {
  const all = node.workers.map((worker) => ({ name: worker.name, ...worker.status() }));
  const done = all.flatMap(({ name, counters }) =>
    Object.entries(counters).map(([what, value]) => ({ labels: { id, worker: name, what }, value })),
  );
  return [
    gauge(
      'worker_backlog',
      'Pieces of background work that wait.',
      all.flatMap(({ name, backlog }) =>
        backlog === undefined ? [] : [{ labels: { id, worker: name }, value: backlog }],
      ),
    ),
    gauge(
      'worker_failing',
      'Whether the last run of a worker ended early.',
      all.map(({ name, lastError }) => ({ labels: { id, worker: name }, value: lastError === undefined ? 0 : 1 })),
    ),
    { name: 'infinit_worker_done_total', help: 'What background work did.', type: 'counter', samples: done },
  ];
}

/** From now on the metrics tell of a volume or store that is open. */
export function watchTree(metrics: Metrics, name: string, tree: Tree, dirtyBytes: () => number = () => 0): void {
  const of = (value: number): Sample[] => [{ labels: { tree: name }, value }];
  metrics.source(() => {
    const { role, epoch } = tree.status();
    return [
      gauge('tree_leader', 'Whether this process leads.', of(role === 'leader' ? 1 : 0)),
      gauge('tree_epoch', 'Count of leaders so far.', of(epoch)),
      gauge('dirty_bytes', 'Written here and not yet in the network.', of(dirtyBytes())),
    ];
  });
}

function gauge(name: string, help: string, samples: readonly Sample[]): Reading {
  return { name: `infinit_${name}`, help, type: 'gauge', samples };
}

interface Counted {
  held: number;
  reachable: number;
  short: number;
  underQuorum: number;
}

/** Counts the registers of a node, at most twice a minute. */
class RegisterCensus {
  private readonly node: Node;
  private countedAtMs = Number.NEGATIVE_INFINITY;
  private counted: Promise<Counted> | undefined;

  constructor(node: Node) {
    this.node = node;
  }

  now(replicas: number): Promise<Counted> {
    const nowMs = this.node.runtime.clock.monotonic();
    if (this.counted === undefined || nowMs - this.countedAtMs >= registersPeriodMs) {
      this.countedAtMs = nowMs;
      this.counted = this.count(replicas);
    }
    return this.counted;
  }

  private async count(replicas: number): Promise<Counted> {
    const counted: Counted = { held: 0, reachable: 0, short: 0, underQuorum: 0 };
    for await (const { members, reachable, joint } of this.node.heldRegisters()) {
      counted.held++;
      if (members < replicas || joint) counted.short++;
      if (reachable > members / 2) counted.reachable++;
      else counted.underQuorum++;
    }
    return counted;
  }
}
