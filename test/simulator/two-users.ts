// Alice's three storage nodes, and Bob with a passport of hers and a client of his own: for tests of what one user may do with what
// is another's.

import type { TestContext } from 'node:test';
import { descriptorContext } from '../../src/core/descriptor/context.ts';
import type { Home } from '../../src/core/descriptor/descriptor.ts';
import { linkNetwork } from '../../src/core/descriptor/links.ts';
import { importNetwork } from '../../src/core/descriptor/networks.ts';
import { type CreatePassportOptions, createPassport, importPassport } from '../../src/core/descriptor/passports.ts';
import { createUser, exportUser, importUser } from '../../src/core/descriptor/users.ts';
import { type Context, type LinkedNode, openLinkedNode } from '../../src/core/node/link.ts';
import { createWorld, type World } from './runtime/world.ts';
import { type Device, makeCluster } from './whole.ts';

const bobsHome: Home = {
  data: '/b/data',
  cache: '/b/cache',
  state: '/b/state',
  config: '/b/config',
  runtime: '/b/run',
};
export const network = 'alice/cluster';

export interface TwoUsers {
  world: World;
  alice: LinkedNode;
  bob: LinkedNode;
  owner: Device;
  bobs: { context: Context };
  /** All three. */
  nodes: LinkedNode[];
}

/** Alice's three storage nodes, of which one opens the trees too, and Bob's client. */
export async function twoUsers(t: TestContext, passport: Partial<CreatePassportOptions> = {}): Promise<TwoUsers> {
  const world = createWorld({ seed: t.name });
  const { devices } = await makeCluster(world, { nodes: 3, clients: 0 });
  const [owner, ...others] = devices as [Device, ...Device[]];
  const { runtime } = world.host('bob');
  const bob = { ...descriptorContext(runtime, bobsHome), runtime };
  const settle = <T>(promise: Promise<T>) => world.settle(promise);
  await settle(createUser(bob, { name: 'bob' }));
  await settle(importUser(owner.context, JSON.stringify(await settle(exportUser(bob, 'bob')))));
  await settle(importUser(bob, JSON.stringify(await settle(exportUser(owner.context, 'alice')))));
  await settle(importNetwork(bob, await settle(owner.context.repository.get('network', network))));
  const { passport: paper } = await settle(
    createPassport(owner.context, { as: 'alice', network, user: 'bob', denyStorage: true, ...passport }),
  );
  await settle(importPassport(bob, JSON.stringify(paper)));
  await settle(linkNetwork(bob, { as: 'bob', name: network }));
  const alice = await settle(owner.startNode([]));
  const rest = await settle(Promise.all(others.map((device) => device.startNode([owner.endpoint]))));
  await world.runFor(10_000);
  const listen = { host: 'bob', port: 4000 };
  const opened = await settle(openLinkedNode({ context: bob, as: 'bob', network, role: 'client', listen }));
  await settle(opened.node.start([owner.endpoint]));
  return { world, alice, bob: opened, owner, bobs: { context: bob }, nodes: [alice, ...rest] };
}
