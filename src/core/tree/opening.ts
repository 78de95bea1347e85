// What an open tree is made of, from what its opener said.

import { InfinitError } from '../base/errors.ts';
import { treeTagOf } from '../block/immutable.ts';
import type { PutOptions } from '../store/store.ts';
import { NodeStore } from './base/node-store.ts';
import { ChunkWriter } from './chunk-writer.ts';
import { RootRegister, type TreeContext } from './context.ts';
import type { OpenTreeOptions } from './engine.ts';
import { clientIdBytes } from './messages.ts';
import { deriveTreeKeys, putQuorum } from './root.ts';

export function contextOf(options: OpenTreeOptions): TreeContext {
  const { runtime, store, treeId, rootAddress, user, secret, members, endpoints, view } = options;
  const keys = deriveTreeKeys(secret);
  const root = new RootRegister({ runtime, store, treeId, address: rootAddress, user, keys, members });
  const treeTag = treeTagOf(rootAddress);
  const putOptions = (): PutOptions => {
    if (root.latest === undefined) throw new InfinitError('unavailable', 'the root of the tree has not been read');
    return { generation: root.latest.header.gcGeneration, quorum: putQuorum(root.latest.snapshot) };
  };
  const { blocks } = store;
  return {
    runtime,
    store,
    treeId,
    rootAddress,
    user,
    endpoints,
    view,
    keys,
    root,
    node: options.directory.peers.self.id,
    session: runtime.random.bytes(clientIdBytes),
    nodes: new NodeStore({ runtime, blocks, treeTag, putOptions, ...cacheOf(options) }),
    chunks: new ChunkWriter({ runtime, blocks, treeTag, putOptions, ...chunkOf(options) }),
    journal: { runtime, secret: keys.journal, treeId },
  };
}

export function cacheOf({ cacheBytesMax }: OpenTreeOptions): { cacheBytesMax?: number } {
  return cacheBytesMax === undefined ? {} : { cacheBytesMax };
}

function chunkOf({ chunkBytesMax }: OpenTreeOptions): { packBytesMax?: number } {
  return chunkBytesMax === undefined ? {} : { packBytesMax: chunkBytesMax };
}
