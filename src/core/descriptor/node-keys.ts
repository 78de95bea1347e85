// The node's own key pair of each link of this home: state/OWNER/NETWORK/.nodes/USER/ID, 0600, ID being the node id in
// base64url. Kept by unlink, so that a later link can be the same node again. Names never begin with a dot: no clash.

import { join } from 'node:path';
import { fromBase64, toBase64, utf8 } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { type KeyPair, keyPairFromSeed, seedBytes } from '../crypto/keys.ts';
import { base64, object } from './check.ts';
import type { DescriptorContext } from './context.ts';
import type { Home, LinkedNetworkDescriptor } from './descriptor.ts';
import { nodeIdText } from './keys.ts';

interface NodeKeyFile {
  node_id: string;
  private_key: { ed25519: string };
}

const keyFileBytesMax = 1024;
const keyFile = object<NodeKeyFile>(
  { node_id: base64(32), private_key: object<NodeKeyFile['private_key']>({ ed25519: base64(seedBytes) }, {}) },
  {},
);

/** The key pair of a link. Throws `not-found` when the state folder has it no more, `corrupt`. */
export function nodeKeyPair(context: DescriptorContext, link: LinkedNetworkDescriptor): Promise<KeyPair> {
  return readNodeKey(context, link.user, link.name, link.node_id);
}

export async function readNodeKey(
  context: DescriptorContext,
  user: string,
  network: string,
  nodeId: string,
): Promise<KeyPair> {
  const path = pathOf(context.home, user, network, checkNodeId(nodeId));
  let content: Buffer;
  try {
    content = await context.runtime.files.read(path, { limit: keyFileBytesMax });
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
    throw new InfinitError('not-found', `this device has no key of node "${nodeId}" of network "${network}"`);
  }
  try {
    const pair = keyPairFromSeed(fromBase64(keyFile(JSON.parse(content.toString('utf8')), '').private_key.ed25519));
    if (nodeIdText(pair.publicKey) !== nodeId) throw new InfinitError('corrupt', 'it holds the key of another node');
    return pair;
  } catch (cause) {
    throw new InfinitError('corrupt', `node key ${path} cannot be read: ${asError(cause).message}`, { cause });
  }
}

export async function createNodeKey(
  context: DescriptorContext,
  user: string,
  network: string,
): Promise<{ nodeId: string; remove: () => Promise<void> }> {
  const seed = context.runtime.random.bytes(seedBytes);
  const nodeId = nodeIdText(keyPairFromSeed(seed).publicKey);
  const path = pathOf(context.home, user, network, nodeId);
  const file: NodeKeyFile = { node_id: nodeId, private_key: { ed25519: toBase64(seed) } };
  await context.runtime.files.makeDirectory(join(path, '..'));
  await context.runtime.files.replace(path, utf8(`${JSON.stringify(file, null, 2)}\n`), { mode: 0o600 });
  return { nodeId, remove: () => context.runtime.files.remove(path) };
}

/** Forgets the node keys of a network, of all users. */
export async function removeNodeKeys(context: DescriptorContext, network: string): Promise<void> {
  await context.runtime.files.remove(folderOf(context.home, network));
}

function folderOf(home: Home, network: string): string {
  return join(home.state, network, '.nodes');
}

function pathOf(home: Home, user: string, network: string, nodeId: string): string {
  return join(folderOf(home, network), user, fromBase64(nodeId).toString('base64url'));
}

function checkNodeId(nodeId: string): string {
  try {
    return base64(32)(nodeId, '');
  } catch (cause) {
    throw new InfinitError('usage', `invalid node id ${JSON.stringify(nodeId.slice(0, 100))}`, { cause });
  }
}
