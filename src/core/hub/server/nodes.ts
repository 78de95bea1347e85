// Where the nodes of a network are and how full: told by their users, for those who are in the network.

import { limits } from '../../base/limits.ts';
import { isNodeId, nodeEndpoints, usage } from '../bodies.ts';
import type { Answer, Call } from './call.ts';
import { badRequest, notFound, Refusal } from './refusal.ts';

export async function getEndpoints(call: Call): Promise<Answer> {
  const { network } = await call.member(call.qualified);
  return { status: 200, body: await call.store.endpoints(network.name, call.nowMs - limits.hubNodeMemoryMs) };
}

export async function putEndpoints(call: Call): Promise<Answer> {
  const { network, user, node } = await place(call);
  const said = call.fields(nodeEndpoints);
  return call.store.transaction(`${network} ${user}`, async (store) => {
    await store.setEndpoints(network, user, node, said, call.nowMs);
    checkRoom(user, await store.countEndpoints(network, user));
    return { status: 200, body: {} };
  });
}

export async function deleteEndpoints(call: Call): Promise<Answer> {
  const { network, user, node } = await place(call);
  if (!(await call.store.deleteEndpoints(network, user, node))) throw notFound('endpoints', node);
  return { status: 200, body: {} };
}

export async function getUsage(call: Call): Promise<Answer> {
  const { network } = await call.member(call.qualified);
  return { status: 200, body: await call.store.usage(network.name, call.nowMs - limits.hubNodeMemoryMs) };
}

export async function putUsage(call: Call): Promise<Answer> {
  const { network, user, node } = await place(call);
  const told = call.fields(usage);
  return call.store.transaction(`${network} ${user}`, async (store) => {
    await store.setUsage(network, user, node, told, call.nowMs);
    checkRoom(user, await store.countUsage(network, user));
    return { status: 200, body: {} };
  });
}

/** A node is its user's: others say nothing of it. */
async function place(call: Call): Promise<{ network: string; user: string; node: string }> {
  const user = call.self();
  const node = call.text('node');
  if (!isNodeId(node)) throw badRequest('the node is not base64 of 32 bytes');
  const { network } = await call.member(call.qualified);
  return { network: network.name, user, node };
}

/** Refusing takes back what the transaction did. */
function checkRoom(user: string, count: number): void {
  if (count <= limits.hubNodesPerUserMax) return;
  throw new Refusal(413, {
    error: 'user/nodes_limit',
    reason: `user "${user}" has too many nodes in this network`,
    name: user,
  });
}
