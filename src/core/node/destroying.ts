// Destroying a volume or a key-value store for good (docs/protocols.md 5): its root register is deleted, the network register says
// so in its owner's name, and every storage node gives back what the tree took, those that are away when they come back.

import { type Bytes, equalBytes, fromBase64, toHex } from '../base/bytes.ts';
import { decode } from '../base/codec.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import type { Abortable } from '../base/lifecycle.ts';
import type { Address } from '../block/address.ts';
import { registerState } from '../block/register.ts';
import type { DestroyFacts, DestroyOptions, Running } from '../cli/running.ts';
import { type RegisterSnapshot, rootHeader } from '../consensus/consensus.ts';
import type { Descriptors, TreeKind } from '../descriptor/descriptor.ts';
import { keyFromJson } from '../descriptor/keys.ts';
import { labelOf } from '../descriptor/stream.ts';
import { deleteTreeDescriptor, getTreeDescriptor } from '../descriptor/tree-descriptors.ts';
import { destroyedGeneration } from '../store/sweep-messages.ts';
import { treeAttach } from '../tree/messages.ts';
import { journalFolder } from './late/journal-folder.ts';
import { type LinkedNode, openLinkedNode } from './link.ts';
import { askMonitor } from './monitor.ts';
import { withdrawService } from './services.ts';
import { seedsOf } from './serving.ts';
import { monitorSocket } from './sockets.ts';
import { listTreesOf } from './volumes.ts';

const pollMs = 500;
const attachMs = 2_000;
const failuresMax = 5;
/** A node that gets no further for so long is left to itself. */
const patienceMs = 10 * 60_000;
const wholeRing = { first: 0, last: 2 ** 32 - 1 };

export interface DestroyTree<K extends TreeKind> {
  kind: K;
  descriptor: Descriptors[K];
  /** Although somebody has it open. */
  force: boolean;
}

/**
 * Nobody opens the tree any more when it resolves, and all of its data is on its way out; repeatable. Returns its root, or undefined
 * when the network never heard of it. Throws `denied` for who does not own it, `conflict` while it is in use.
 */
export async function destroyTree<K extends TreeKind>(
  linked: LinkedNode,
  { kind, descriptor, force }: DestroyTree<K>,
  options: Abortable = {},
): Promise<Address | undefined> {
  const { node, user } = linked;
  const what = `${labelOf(kind)} "${descriptor.name}"`;
  const [owner, treeId] = [keyFromJson(descriptor.owner), fromBase64(descriptor.tree_id)];
  if (!equalBytes(owner, user.publicKey)) throw new InfinitError('denied', `only its owner can destroy ${what}`);
  const register = node.networkRegister;
  if (register === undefined) return undefined;
  const gone = await register.destroyedRoot(treeId, owner, options);
  if (gone !== undefined) return gone;
  const root = await register.findTree(treeId, owner, options);
  if (root === undefined) return undefined;
  const snapshot = await node.registers.read(root, options);
  if (!(snapshot.deleted || force)) await refuseInUse(node, snapshot, what);
  await withdrawService({ node, user }, treeId, options);
  if (!snapshot.deleted && kind === 'volume')
    for (const list of await listTreesOf(linked, owner, { treeId, root }, options))
      await destroyRoot({ node, user }, list.treeId, await node.registers.read(list.root, options), options);
  await destroyRoot({ node, user }, treeId, snapshot, options);
  return root;
}

/** The tree with this root register, of the user, and all of its data are on their way out; repeatable. */
export async function destroyRoot(
  { node, user }: Pick<LinkedNode, 'node' | 'user'>,
  treeId: Bytes,
  { address, deleted, proof }: RegisterSnapshot,
  options: Abortable = {},
): Promise<void> {
  if (!deleted) await node.registers.delete(address, user, options);
  const { salt } = decode(registerState, proof).genesis;
  await node.networkRegister?.destroyTree(user, treeId, salt, options);
  await node.publishDescriptor(options);
}

/** Whoever leads it, or may lead it still, has it open. */
async function refuseInUse(node: LinkedNode['node'], { payload }: RegisterSnapshot, what: string): Promise<void> {
  const { leader, state, treeId } = decode(rootHeader, payload);
  if (state === 'idle' || leader === undefined) return;
  const name = toHex(leader.node).slice(0, 8);
  const hint = 'unmount or stop it there, or add --force: whoever has it open is told, and ends';
  const refuse = (how: string) => new InfinitError('conflict', `${what} is in use ${how}`, { hint });
  try {
    const peer = await node.peers.connect({ id: leader.node, endpoints: leader.endpoints });
    const client = node.runtime.random.bytes(16);
    const { role } = await peer.call(treeAttach, { treeId, client }, { timeoutMs: attachMs });
    if (role === 'none') return;
  } catch (error) {
    throw refuse(`by client ${name}, as far as is known: it does not answer (${asError(error).message})`);
  }
  throw refuse(`by client ${name}`);
}

/** Until every storage node that can be reached is rid of the tree; those that cannot are counted. */
export async function awaitRiddance(
  linked: LinkedNode,
  root: Address,
  progress: (facts: DestroyFacts) => void,
  options: Abortable = {},
): Promise<DestroyFacts> {
  const { node } = linked;
  const { clock } = node.runtime;
  const { sweeps } = node.store;
  const open = new Map((await sweeps.holders(options)).map((id) => [toHex(id), { id, failures: 0 }]));
  const facts: DestroyFacts = { nodes: 0, of: open.size, missed: 0, copies: 0, bytes: 0 };
  for (let sinceMs = clock.monotonic(); open.size > 0; ) {
    for (const [name, holder] of open) {
      try {
        const question = { tree: root, generation: destroyedGeneration, ...wholeRing };
        const { done, blocks, bytes } = await sweeps.progress(holder.id, question, options);
        if (done === 0) continue;
        open.delete(name);
        sinceMs = clock.monotonic();
        facts.nodes++;
        facts.copies += blocks;
        facts.bytes += bytes;
      } catch (error) {
        if (!isError(error, 'unavailable') || ++holder.failures < failuresMax) continue;
        open.delete(name);
        facts.missed++;
      }
    }
    progress({ ...facts });
    if (open.size === 0) break;
    if (clock.monotonic() - sinceMs > patienceMs) {
      facts.missed += open.size;
      break;
    }
    await clock.sleep(pollMs, options);
  }
  return facts;
}

export const destroy: Running['destroy'] = async (options: DestroyOptions) => {
  const { context, as, kind, force, peers, signal, progress } = options;
  const descriptor = await getTreeDescriptor(context, kind, as, options.name);
  const { name, network } = descriptor;
  if (!force) await refuseRunningHere(options, name);
  const linked = await openLinkedNode({ context, as, network, role: 'client' });
  try {
    await linked.node.start(seedsOf({ ...(peers && { peers }) }, linked), { signal });
    const root = await destroyTree(linked, { kind, descriptor, force }, { signal });
    await deleteTreeDescriptor(context, kind, as, name);
    // What waits for it on this device can never be sent.
    if ('mount_options' in descriptor) await context.runtime.files.remove(journalFolder(context.home, as, descriptor));
    const none: DestroyFacts = { nodes: 0, of: 0, missed: 0, copies: 0, bytes: 0 };
    const facts = root === undefined ? none : await awaitRiddance(linked, root, progress, { signal });
    return { name, ...facts };
  } finally {
    await linked.close();
  }
};

/** One that nobody has used for a while has no leader, and yet is open. */
async function refuseRunningHere({ context, as, kind }: DestroyOptions, name: string): Promise<void> {
  try {
    await askMonitor(monitorSocket(context.home, kind, as, name), 'status');
  } catch (error) {
    if (isError(error, 'not-found')) return;
    throw error;
  }
  const hint = kind === 'volume' ? `infinit volume stop ${name}` : 'stop `infinit key-value-store run`';
  throw new InfinitError('conflict', `${labelOf(kind)} "${name}" is running on this device`, { hint });
}
