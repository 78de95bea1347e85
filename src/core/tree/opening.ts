// What an open tree is made of, from what its opener said.

import type { Bytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { treeTagOf } from '../block/immutable.ts';
import type { PutOptions } from '../store/store.ts';
import { BaseTree } from './base/base-tree.ts';
import { NodeStore } from './base/node-store.ts';
import { ChunkReader } from './chunk-reader.ts';
import { ChunkWriter } from './chunk-writer.ts';
import { type Root, RootRegister, type TreeContext } from './context.ts';
import type { OpenTreeOptions } from './engine.ts';
import { clientIdBytes, failedOutcome, type Outcome } from './messages.ts';
import { putQuorum } from './root.ts';

export function contextOf(options: OpenTreeOptions): TreeContext {
  const { runtime, store, treeId, rootAddress, user, secretOf, members, membersKey, endpoints, view } = options;
  const root = new RootRegister({ runtime, store, treeId, address: rootAddress, user, secretOf, members });
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
    membersKey,
    root,
    node: options.directory.peers.self.id,
    session: runtime.random.bytes(clientIdBytes),
    nodes: new NodeStore({ runtime, blocks, treeTag, putOptions, ...cacheOf(options) }),
    chunks: new ChunkWriter({ runtime, blocks, treeTag, putOptions, ...chunkOf(options) }),
    journal: { runtime, secret: () => root.keys.journal, treeId },
  };
}

function cacheOf({ cacheBytesMax }: OpenTreeOptions): { cacheBytesMax?: number } {
  return cacheBytesMax === undefined ? {} : { cacheBytesMax };
}

function chunkOf({ chunkBytesMax }: OpenTreeOptions): { packBytesMax?: number } {
  return chunkBytesMax === undefined ? {} : { packBytesMax: chunkBytesMax };
}

export function readerOf(options: OpenTreeOptions): ChunkReader {
  const { runtime, store, rootAddress } = options;
  return new ChunkReader({ runtime, blocks: store.blocks, treeTag: treeTagOf(rootAddress), ...cacheOf(options) });
}

/** Answers from what is committed. */
export async function queryCommitted({ view, nodes }: TreeContext, query: Bytes, root: Root): Promise<Outcome> {
  try {
    const reply = await view.query(query, new BaseTree(nodes, root.body));
    return { type: 'done', reply, sequence: root.header.applied };
  } catch (error) {
    return failedOutcome(error);
  }
}
