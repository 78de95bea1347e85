// What a running node says of itself: the answers of `network inspect`.

import { toBase64, toHex } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import { abortable } from '../base/lifecycle.ts';
import type { NodeId } from '../block/address.ts';
import type { WorkerFacts } from '../cli/running.ts';
import { formatEndpoint } from '../runtime/endpoint.ts';
import type { Shortage } from '../store/redundancy.ts';
import type { Queries } from './monitor.ts';
import type { Node } from './node.ts';

const agreementWaitMs = 5000;

/** Of the first of the nodes this process is; background work of all. */
export function inspections(nodes: () => readonly [Node, ...Node[]]): Queries {
  return {
    status: () => status(nodes()),
    peers: () => peers(nodes()[0]),
    redundancy: () => redundancy(nodes()[0]),
    workers: () => nodes().flatMap(workers),
    scrub: () => {
      nodes()[0].blocks?.scrubNow();
      return {};
    },
    all: async () => {
      const [node] = nodes();
      return {
        ...status(nodes()),
        consensus: consensus(node),
        overlay: node.overlay.inspect(),
        peers: peers(node),
        redundancy: await redundancy(node),
      };
    },
  };
}

function consensus(node: Node): Record<string, unknown> {
  return { ...node.network().consensus };
}

function status(nodes: readonly [Node, ...Node[]]): Record<string, unknown> {
  const [node] = nodes;
  const work = nodes.flatMap(workers).map(({ name, ...facts }) => [name, facts] as const);
  const silo = node.options.silo?.usage();
  return {
    status: true,
    network: node.network().name,
    node: toBase64(node.peers.self.id),
    kind: node.peers.self.kind,
    endpoints: node.endpoints().map(formatEndpoint),
    // Whether others can dial it; null before anybody tried.
    reached: node.place.reachability.reached ?? null,
    pid: process.pid,
    protocol: 'tcp',
    ...(silo === undefined ? {} : { silo: { ...silo, capacityBytes: silo.capacityBytes ?? null } }),
    workers: Object.fromEntries(work.reverse()),
    memory_bytes: process.memoryUsage().rss,
  };
}

function workers(node: Node): WorkerFacts[] {
  return node.workers.map((worker) => {
    const { state, backlog, counters, lastError } = worker.status();
    return {
      name: worker.name,
      state,
      ...(backlog === undefined ? {} : { backlog }),
      counters,
      ...(lastError === undefined ? {} : { last_error: lastError }),
    };
  });
}

function peers(node: Node): Record<string, unknown>[] {
  const own = toHex(node.peers.self.id);
  return node.overlay.nodes().map((record) => ({
    id: toBase64(record.id),
    self: toHex(record.id) === own,
    connected: toHex(record.id) === own || node.peers.get(record.id)?.open === true,
    liveness: toHex(record.id) === own ? 'alive' : node.overlay.liveness(record.id),
    ...carriedBy(node.peers.get(record.id)?.relay),
    endpoints: record.endpoints.map(formatEndpoint),
    capacity_bytes: record.capacityBytes,
    free_bytes: record.freeBytes,
    ...(record.zone === undefined ? {} : { zone: record.zone }),
  }));
}

function carriedBy(relay: NodeId | undefined): { relay?: string } {
  return relay === undefined ? {} : { relay: toBase64(relay) };
}

/** Whether the registers this node keeps have as many members as they should. */
async function redundancy(node: Node): Promise<Record<string, unknown>> {
  const desired = node.network().consensus['replication-factor'];
  let registers = 0;
  let under = 0;
  for await (const held of node.heldRegisters()) {
    registers++;
    if (held.members < desired || held.joint) under++;
  }
  const network = await networkRegister(node);
  return {
    ...{ desired_factor: desired, type: 'replication', registers, under_replicated_registers: under, ...network },
    ...blocksOf(node),
  };
}

/** The blocks of a storage node: how many lack copies, why, and what is being done. */
function blocksOf(node: Node): Record<string, unknown> {
  if (node.blocks === undefined) return {};
  const { scrub } = node.blocks;
  const told = node.blocks.redundancy(node.network().consensus['eviction-delay']);
  const rotten = scrub.rottenRecords();
  return {
    blocks: told.blocks,
    blocks_counted: told.counted,
    under_replicated_blocks: told.underReplicated,
    ...(told.shortages.length === 0 ? {} : { shortages: told.shortages.map(shortage) }),
    missing_blocks: told.missing,
    bad_blocks: told.bad,
    surplus_blocks: told.surplus,
    ...(rotten.length === 0 ? {} : { rotten_records: rotten }),
    ...(told.comparedMs === undefined ? {} : { compared_ms_ago: told.comparedMs }),
    work: Object.fromEntries(
      workers(node)
        .filter(({ name }) => blockWorkers.includes(name))
        .map(({ name, state, backlog, last_error }) => [name, { state, backlog, last_error }]),
    ),
  };
}

const blockWorkers = ['census', 'membership', 'repair', 'rebalance', 'scrub', 'mending'];

function shortage(one: Shortage): Record<string, unknown> {
  const { reason, blocks } = one;
  if (one.reason === 'few nodes') return { reason, nodes: one.nodes, blocks };
  const node = toBase64(one.node);
  if (one.reason === 'node away') return { reason, node, away_ms: one.awayMs, evicted_in_ms: one.evictedInMs, blocks };
  return { reason, node, blocks };
}

/** Who asks is answered before he gives up waiting, also when there is no majority. */
async function networkRegister(node: Node): Promise<Record<string, unknown>> {
  const limit = new AbortController();
  const cancel = node.runtime.clock.after(agreementWaitMs, () => limit.abort());
  try {
    const asked = node.networkRegister?.members({ signal: limit.signal });
    const members = asked && (await abortable(asked, { signal: limit.signal }));
    return members === undefined ? {} : { network_register_members: members };
  } catch (error) {
    if (!isError(error)) throw error;
    const late = `no majority has answered within ${agreementWaitMs / 1000} s`;
    return { network_register_error: limit.signal.aborted ? late : error.message };
  } finally {
    cancel();
  }
}
