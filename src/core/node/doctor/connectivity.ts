// Whether this machine reaches what it needs: its own networks' nodes, the hub, the router; and whether others reach it.

import { createServer } from 'node:net';
import { toBase64 } from '../../base/bytes.ts';
import { asError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { LinkedNetworkDescriptor } from '../../descriptor/descriptor.ts';
import { isRelayed } from '../../peer/relayed-endpoint.ts';
import { formatEndpoint, parseEndpoint } from '../../runtime/endpoint.ts';
import { askNetwork } from '../running-network.ts';
import { NodeState } from '../state.ts';
import { type Finding, faulty, ownLinks, type Section, type Surroundings, sound, suspicious } from './doctor.ts';
import { portMapping } from './port-mapping.ts';
import { connects, look } from './throughput.ts';

const timeoutMs = 3000;
const second = 1000;

export async function connectivity(surroundings: Surroundings): Promise<Section[]> {
  const { context, hub, server } = surroundings;
  const addresses = context.runtime.transport.localAddresses();
  return [
    { key: 'interfaces', title: 'Interfaces', findings: interfaces(addresses) },
    {
      key: 'hub',
      title: 'Hub',
      findings: hub === undefined ? [] : [await hubFinding(hub, context.runtime.clock.now())],
    },
    { key: 'port_mapping', title: 'Port mapping', findings: await portMapping(surroundings) },
    { key: 'nodes', title: 'Nodes', findings: await networks(surroundings) },
    {
      key: 'reachability',
      title: 'Reachability',
      findings: server === undefined ? [] : [await seenFrom(server, addresses)],
    },
  ];
}

function interfaces(addresses: readonly string[]): Finding[] {
  const isLocal = (address: string) => address.startsWith('127.') || address === '::1';
  if (addresses.every(isLocal)) return [suspicious('loopback', 'this machine has no address that others can use')];
  return addresses.map((address) => sound(address));
}

/** Answers, and its clock is ours as far as its signatures need. */
async function hubFinding(address: string, nowMs: number): Promise<Finding> {
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(timeoutMs) });
    await response.body?.cancel();
    const told = Date.parse(response.headers.get('date') ?? '');
    const aheadMs = Number.isNaN(told) ? 0 : nowMs - told;
    if (Math.abs(aheadMs) > limits.clockSkewMs)
      return faulty(
        address,
        `the clock of this machine is ${Math.round(Math.abs(aheadMs) / second)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the hub's`,
        {
          hint: 'set the clock: the hub refuses requests that are five minutes off',
        },
      );
    if (response.status >= 500) return faulty(address, `the hub answers with status ${response.status}`);
    return sound(address);
  } catch (error) {
    const { cause } = error as Error;
    return faulty(address, `the hub does not answer: ${asError(cause ?? error).message}`);
  }
}

async function networks(surroundings: Surroundings): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const link of await ownLinks(surroundings)) {
    try {
      findings.push(await networkFinding(link.name, await nodesOf(surroundings, link)));
    } catch (error) {
      if (!isError(error)) throw error;
      findings.push(faulty(link.name, error.message));
    }
  }
  return findings;
}

interface KnownNode {
  name: string;
  endpoints: readonly string[];
  /** Who carries the connection a running process has to it. */
  relay?: string | undefined;
}

/** Others, as a running process knows them, else as they were last heard of, else as the descriptor names them. */
async function nodesOf({ context, as }: Surroundings, link: LinkedNetworkDescriptor): Promise<KnownNode[]> {
  try {
    const peers = (await askNetwork({ context, as }, link.name, 'peers')) as {
      id: string;
      self: boolean;
      endpoints: string[];
      relay?: string;
    }[];
    return peers.filter(({ self }) => !self).map(({ id, endpoints, relay }) => ({ name: id, endpoints, relay }));
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
  }
  const folder = `${context.home.state}/${link.name}/.links/${link.user}`;
  const named = (link.network.peers ?? []).map((endpoint) => ({ name: endpoint, endpoints: [endpoint] }));
  if ((await context.runtime.files.stat(`${folder}/node.sqlite`)) === undefined) return named;
  const state = await NodeState.open(context.runtime, folder);
  try {
    const records = (await state.load()).filter(({ id }) => toBase64(id) !== link.node_id);
    const heard = records.map(({ id, endpoints }) => ({
      name: toBase64(id),
      endpoints: endpoints.map(formatEndpoint),
    }));
    return [...heard, ...named];
  } finally {
    await state.close();
  }
}

/** Each node by the first of its endpoints that takes a connection. */
async function networkFinding(name: string, nodes: readonly KnownNode[]): Promise<Finding> {
  const examined = await Promise.all(nodes.slice(0, limits.doctorNodesMax).map(nodeFinding));
  const away = examined.filter(({ warning }) => warning).length;
  if (examined.length > 0 && away === examined.length)
    return faulty(name, `none of its ${examined.length} other nodes can be reached`, { nodes: examined });
  if (away === 0) return sound(name, { nodes: examined });
  const reason = `${away} of its ${examined.length} other nodes cannot be reached`;
  return suspicious(name, reason, { nodes: examined });
}

async function nodeFinding({ name, endpoints, relay }: KnownNode): Promise<Finding> {
  const dialled = endpoints.map(parseEndpoint).filter((one) => !isRelayed(one));
  for (const endpoint of dialled)
    if (await connects(endpoint)) return sound(name, { endpoint: formatEndpoint(endpoint) });
  if (relay !== undefined) return sound(name, { endpoint: `by way of ${relay}` });
  return suspicious(name, `nobody takes a connection at ${endpoints.join(', ') || 'any endpoint'}`);
}

/** What a machine that runs `infinit doctor networking` sees of this one. */
async function seenFrom(server: string, addresses: readonly string[]): Promise<Finding> {
  const listener = createServer((socket) => socket.destroy());
  try {
    await new Promise<void>((resolve, reject) => listener.once('error', reject).listen(0, resolve));
    const { port } = listener.address() as { port: number };
    const { address, reachable } = await look(parseEndpoint(server), port);
    const isDirect = addresses.includes(address) || address.startsWith('127.');
    if (!reachable)
      return suspicious(server, `others cannot connect to this machine, which they see as ${address}`, {
        hint: isDirect
          ? 'open the firewall for the port given by --port'
          : 'forward a port, and give --port and --advertise-host',
      });
    return isDirect ? sound(server) : suspicious(server, `addresses are translated: others see ${address}`);
  } catch (error) {
    return faulty(server, asError(error).message);
  } finally {
    listener.close();
  }
}
