// Taking rights away on whole nodes: what `passport revoke` and the end of a passport do to connections and leaders that are there,
// and a node whose clock is wrong (docs/protocols.md 2.8).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import { limits } from '../../src/core/base/limits.ts';
import { createPassport, importPassport } from '../../src/core/descriptor/passports.ts';
import { revokePassports } from '../../src/core/descriptor/revocations.ts';
import { createVolume } from '../../src/core/descriptor/volumes.ts';
import { type LinkedNode, openLinkedNode } from '../../src/core/node/link.ts';
import { openDescribedTree } from '../../src/core/node/trees.ts';
import { worldOf } from '../../src/core/node/volumes.ts';
import { openKeyStore } from '../../src/core/volume/key-store.ts';
import { keyView } from '../../src/core/volume/key-view.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { network, type TwoUsers, twoUsers } from './two-users.ts';

/** A store that everybody with a passport may write; Bob leads it. */
async function bobLeads(all: TwoUsers): Promise<{ his: KeyStore; open: (linked: LinkedNode) => Promise<KeyStore> }> {
  const { world, owner, alice, bob } = all;
  const descriptor = await world.settle(
    createVolume(owner.context, { as: 'alice', name: 'v', network, defaultPermissions: 'rw' }),
  );
  const described = { kind: 'volume', descriptor, view: () => keyView, world: worldOf(descriptor) } as const;
  const open = async (linked: LinkedNode) => {
    const { tree } = await openDescribedTree(linked, described, { door: false });
    return openKeyStore(tree);
  };
  const { tree } = await world.settle(openDescribedTree(alice, described, { door: false }));
  await world.settle(tree.stop());
  const his = await world.settle(open(bob));
  await world.settle(his.put(utf8('k'), utf8('his')));
  return { his, open };
}

function connectedTo({ bob }: TwoUsers, { node }: LinkedNode): boolean {
  const { id } = bob.node.peers.self;
  return node.peers.connected().some((peer) => Buffer.from(peer.id).equals(Buffer.from(id)));
}

test('a revoked user who leads loses his connections within seconds, everywhere; what he wrote stays, and another leads', async (t) => {
  const all = await twoUsers(t);
  const { world, owner, alice, nodes } = all;
  const { his, open } = await bobLeads(all);
  assert.ok(nodes.some((linked) => connectedTo(all, linked)));
  await world.settle(revokePassports(owner.context, { as: 'alice', network, user: 'bob' }));
  const publisher = await world.settle(
    openLinkedNode({
      context: owner.context,
      as: 'alice',
      network,
      role: 'client',
      listen: { host: 'node0', port: 0 },
    }),
  );
  await world.settle(publisher.node.start([owner.endpoint]));
  assert.equal(await world.settle(publisher.node.publishDescriptor()), 3);
  await world.settle(publisher.close());
  await world.runFor(3 * limits.registerLookPeriodMs);
  for (const linked of nodes) assert.equal(linked.node.network().revoked?.length, 1);
  assert.ok(!nodes.some((linked) => connectedTo(all, linked)));
  const late = his.put(utf8('k'), utf8('late'));
  late.catch(() => {});
  const hers = await world.settle(open(alice));
  assert.equal(Buffer.from((await world.settle(hers.get(utf8('k')))).value).toString(), 'his');
  await world.settle(hers.put(utf8('k'), utf8('hers')));
  await assert.rejects(world.settle(late), (error) => error instanceof InfinitError);
  await world.runFor(60_000);
  assert.ok(!nodes.some((linked) => connectedTo(all, linked)));
  assert.equal(Buffer.from((await world.settle(hers.get(utf8('k')))).value).toString(), 'hers');
});

test('a passport that ends while its user is connected ends his connections', async (t) => {
  const minute = 60_000;
  const all = await twoUsers(t, { expiresInMs: 2 * minute });
  const { world, nodes } = all;
  const { his } = await bobLeads(all);
  await world.runFor(minute);
  await world.settle(his.put(utf8('k'), utf8('in time')));
  await world.runFor(minute + limits.clockSkewMs + 10_000);
  assert.ok(!nodes.some((linked) => connectedTo(all, linked)));
  await assert.rejects(world.settle(his.put(utf8('k'), utf8('late'))), (error) => error instanceof InfinitError);
});

test('a passport made after the revocation counts', async (t) => {
  const all = await twoUsers(t);
  const { world, owner, alice, bob } = all;
  const { open } = await bobLeads(all);
  await world.settle(revokePassports(owner.context, { as: 'alice', network, user: 'bob' }));
  const { passport } = await world.settle(createPassport(owner.context, { as: 'alice', network, user: 'bob' }));
  await world.settle(bob.close());
  const { context } = all.bobs;
  await world.settle(importPassport(context, JSON.stringify(passport)));
  const again = await world.settle(
    openLinkedNode({ context, as: 'bob', network, role: 'client', listen: { host: 'bob', port: 4001 } }),
  );
  await world.settle(again.node.start([owner.endpoint]));
  const his = await world.settle(open(again));
  await world.settle(his.put(utf8('k'), utf8('again')));
  const hers = await world.settle(open(alice));
  assert.equal(Buffer.from((await world.settle(hers.get(utf8('k')))).value).toString(), 'again');
});
