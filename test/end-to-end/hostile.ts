// A member of the network who keeps to no rule: with his own key and passport he talks to the nodes himself about the root of a
// volume, its journal and its blocks.

import assert from 'node:assert/strict';
import { type Bytes, equalBytes, fromBase64 } from '../../src/core/base/bytes.ts';
import { decode, encode } from '../../src/core/base/codec.ts';
import { isError } from '../../src/core/base/errors.ts';
import type { Address } from '../../src/core/block/address.ts';
import { treeTagOf } from '../../src/core/block/immutable.ts';
import { signBatch } from '../../src/core/block/register-batch.ts';
import { imageOf, readImage, registerValueHash } from '../../src/core/block/register-validity.ts';
import { type RegisterSnapshot, type RootHeader, rootHeader } from '../../src/core/consensus/consensus.ts';
import { journalFence, journalOpen } from '../../src/core/consensus/journal/messages.ts';
import { registerBatch, type WireReply } from '../../src/core/consensus/register/messages.ts';
import { descriptorContext } from '../../src/core/descriptor/context.ts';
import { keyFromJson } from '../../src/core/descriptor/keys.ts';
import { getVolume } from '../../src/core/descriptor/volumes.ts';
import { type LinkedNode, openLinkedNode } from '../../src/core/node/link.ts';
import type { Peer } from '../../src/core/peer/peer.ts';
import { parseEndpoint } from '../../src/core/runtime/endpoint.ts';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import { openSecret } from '../../src/core/tree/access.ts';
import { BaseTree } from '../../src/core/tree/base/base-tree.ts';
import { NodeStore } from '../../src/core/tree/base/node-store.ts';
import { deriveTreeKeys, openRootBody, type RootBody } from '../../src/core/tree/root.ts';
import { type Device, eventually } from './device.ts';

export class Hostile {
  private readonly linked: LinkedNode;
  private readonly treeId: Bytes;
  private readonly address: Address;
  private readonly peers: readonly Peer[];
  private readonly blocks = new Map<string, Bytes>();

  private constructor(linked: LinkedNode, treeId: Bytes, address: Address, peers: readonly Peer[]) {
    this.linked = linked;
    this.treeId = treeId;
    this.address = address;
    this.peers = peers;
  }

  static async join(device: Device, endpoints: readonly string[], volume: string): Promise<Hostile> {
    const runtime = systemRuntime({ log: { level: 'error' } });
    const context = { ...descriptorContext(runtime, device.folders), runtime };
    const { network, tree_id, owner } = await getVolume(context, device.user, volume);
    const linked = await openLinkedNode({ context, as: device.user, network, role: 'client' });
    await linked.node.start(endpoints.map(parseEndpoint));
    const { overlay, networkRegister } = linked.node;
    const ids = await eventually('all nodes known', 30_000, async () => {
      const found = overlay.nodes().map(({ id }) => id);
      return found.length === endpoints.length && found;
    });
    const treeId = fromBase64(tree_id);
    const address = await networkRegister?.findTree(treeId, keyFromJson(owner));
    assert.ok(address, 'the volume has a root');
    return new Hostile(linked, treeId, address, await Promise.all(ids.map((id) => overlay.peer(id))));
  }

  close(): Promise<void> {
    return this.linked.close();
  }

  /** Whoever has a passport may fetch it. */
  private root(): Promise<RegisterSnapshot> {
    return this.linked.node.registers.read(this.address);
  }

  private body({ access, payload }: RegisterSnapshot): RootBody {
    return openRootBody(deriveTreeKeys(openSecret(access, this.linked.user)), decode(rootHeader, payload));
  }

  private tree({ root, height }: RootBody): BaseTree {
    const { runtime, store } = this.linked.node;
    const putOptions = () => assert.fail('nothing is put');
    const treeTag = treeTagOf(this.address);
    return new BaseTree(new NodeStore({ runtime, blocks: store.blocks, treeTag, putOptions }), { root, height });
  }

  async mustRead(): Promise<void> {
    const body = this.body(await this.root());
    for await (const _ of this.tree(body).scan(Buffer.from([0]), Buffer.from([255]))) return;
  }

  /** The root is there for him, and does not open. */
  async mustNotRead(): Promise<void> {
    const snapshot = await this.root();
    assert.equal(decode(rootHeader, snapshot.payload).format, 1);
    assert.throws(
      () => this.body(snapshot),
      (error) => isError(error, 'denied', 'corrupt'),
    );
  }

  /** Keeps where the nodes of the tree are: he can ask for them by address whenever he likes. */
  async remember(): Promise<void> {
    const body = this.body(await this.root());
    assert.ok(body.root, 'something is committed');
    this.blocks.set(Buffer.from(body.root.address).toString('hex'), body.root.address);
    assert.ok((await this.linked.node.store.blocks.get(body.root.address)).length > 0);
  }

  async mustNotFindRemembered(): Promise<void> {
    for (const address of this.blocks.values()) {
      const gone = (error: unknown) => isError(error, 'lost', 'unavailable', 'not-found');
      await assert.rejects(this.linked.node.store.blocks.get(address), gone);
    }
  }

  /** A root of his own under the list there is, said to every node at a ballot above all. */
  private async propose(): Promise<{ replies: WireReply[]; proof: Bytes; header: RootHeader }> {
    const { node, user } = this.linked;
    const snapshot = await this.root();
    const { state } = readImage(node.networkId, snapshot.proof);
    const header = decode(rootHeader, snapshot.payload);
    const forged: RootHeader = { ...header, epoch: header.epoch + 1000 };
    const lineage = [snapshot.valueHash, ...state.value.lineage].slice(0, 16);
    const unsigned = {
      ...{ version: snapshot.version + 1, lineage, aclVersion: state.access.version, deleted: false },
      ...{ payload: encode(rootHeader, forged), author: user.publicKey, passportHash: node.peers.self.passportHash },
    };
    const [signature] = signBatch(user, [registerValueHash(node.networkId, this.address, unsigned, state.access)]);
    assert.ok(signature);
    const image = imageOf(node.networkId, this.address, { ...state, value: { ...unsigned, signature } });
    const ballot = { round: Date.now() + 60_000, proposer: Buffer.alloc(8, 1) };
    const message = { type: 'accept' as const, ballot, state: image.bytes, from: undefined, next: undefined };
    const asked = this.peers.map((peer) => peer.call(registerBatch, { calls: [{ address: this.address, message }] }));
    const replies = (await Promise.all(asked)).flatMap((answer) => answer.replies);
    assert.equal(replies.length, this.peers.length);
    return { replies, proof: image.bytes, header: forged };
  }

  async mustNotWrite(): Promise<void> {
    const { replies, proof, header } = await this.propose();
    for (const reply of replies) {
      assert.equal(reply.type, 'denied');
      assert.match(reply.type === 'denied' ? reply.reason : '', /access list/);
    }
    for (const peer of this.peers) {
      const request = { tree: this.address, proof };
      const segment = header.segments[0]?.id ?? 1;
      const denied = (error: unknown) => isError(error, 'denied');
      await assert.rejects(peer.call(journalFence, request), denied);
      await assert.rejects(peer.call(journalOpen, { ...request, segment }), denied);
    }
    assert.ok(decode(rootHeader, (await this.root()).payload).epoch < header.epoch);
  }

  /** By the rules: what is there, once more, in his name. */
  async mustWrite(): Promise<void> {
    const { registers } = this.linked.node;
    const written = await registers.write(this.address, this.linked.user, ({ payload }) => payload);
    assert.ok(equalBytes(decode(rootHeader, written.payload).treeId, this.treeId));
  }
}
