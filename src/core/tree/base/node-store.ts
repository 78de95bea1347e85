// Nodes as sealed immutable blocks. Each node has a fresh AES-256-GCM key, which its parent's reference carries; payload: kind
// u8 = 1, codec u8, sealed (compressed) node; zero nonce; kind, codec and tree tag are authenticated. Plain nodes are cached
// by address, so a cached one is never stale.

import type { Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { decodeImmutable, encodeImmutable, payloadKinds } from '../../block/immutable.ts';
import { keyBytes, nonceBytes, open, seal } from '../../crypto/cipher.ts';
import { type CodecName, codecIds, type Runtime } from '../../runtime/runtime.ts';
import type { Blocks, PutOptions } from '../../store/store.ts';
import type { NodeRef } from '../tree.ts';
import { ByteCache } from './byte-cache.ts';
import { Node, nodeBytesMax } from './node.ts';
import { SharedLoads } from './shared-loads.ts';

/** Smaller nodes are stored as they are. */
const compressFrom = 1024;
/** What a cached node costs beside its bytes, about. */
const nodeOverheadBytes = 400;
const zeroNonce = Buffer.alloc(nonceBytes);
const codecNames = Object.keys(codecIds) as CodecName[];

export interface NodeStoreOptions {
  runtime: Pick<Runtime, 'random' | 'offload' | 'clock'>;
  blocks: Blocks;
  treeTag: Bytes;
  /** Generation and quorum of a put at this moment. */
  putOptions: () => PutOptions;
  cacheBytesMax?: number;
}

export class NodeStore {
  /** Since the start: blocks put, their bytes, nodes fetched. */
  readonly counters = { nodesWritten: 0, bytesWritten: 0, nodesFetched: 0 };
  readonly runtime: NodeStoreOptions['runtime'];
  private readonly blocks: Blocks;
  private readonly treeTag: Bytes;
  private readonly putOptions: () => PutOptions;
  private readonly cache: ByteCache<Node>;
  private readonly loads = new SharedLoads<Node>();

  constructor(options: NodeStoreOptions) {
    this.runtime = options.runtime;
    this.blocks = options.blocks;
    this.treeTag = options.treeTag;
    this.putOptions = options.putOptions;
    this.cache = new ByteCache(options.cacheBytesMax ?? limits.nodeCacheBytesMax);
  }

  get cachedBytes(): number {
    return this.cache.bytes;
  }

  /** Seals and stores an encoded node; acknowledged when it resolves. What could not be read again is not written. */
  async put(plain: Buffer): Promise<NodeRef> {
    const node = new Node(plain);
    const codec = this.runtime.offload.preferredCodec;
    const packed = plain.length > compressFrom ? await this.runtime.offload.compress(plain, codec) : undefined;
    const prefix = Buffer.from([payloadKinds.node, codecIds[packed === undefined ? 'none' : codec]]);
    const key = this.runtime.random.bytes(keyBytes);
    const sealed = seal(key, zeroNonce, packed ?? plain, Buffer.concat([this.treeTag, prefix]));
    const block = encodeImmutable(this.treeTag, 'aes256gcm', [prefix, sealed]);
    const address = await this.blocks.put(block, this.putOptions());
    this.counters.nodesWritten++;
    this.counters.bytesWritten += block.length;
    this.keep(nodeName(address), node);
    return { address, key, stored: block.length };
  }

  /** A node in memory by the name `nodeName` of its address. */
  cached(name: string): Node | undefined {
    return this.cache.get(name);
  }

  /** Throws `corrupt` for what is no node of this tree and level, `lost`, `unavailable`. */
  async load(ref: NodeRef, level: number, options: Abortable = {}): Promise<Node> {
    const name = nodeName(ref.address);
    const cached = this.cache.get(name);
    const node = cached ?? (await this.loads.run(name, () => this.fetch(name, ref), options));
    if (node.level !== level) throw new InfinitError('corrupt', 'tree node is of another level than its parent says');
    return node;
  }

  private async fetch(name: string, ref: NodeRef): Promise<Node> {
    const block = decodeImmutable(await this.blocks.get(ref.address));
    this.counters.nodesFetched++;
    const { payload } = block;
    const codec = codecNames[payload[1] ?? codecNames.length];
    if (
      block.cipher !== 'aes256gcm' ||
      !block.treeTag.equals(this.treeTag) ||
      payload[0] !== payloadKinds.node ||
      !codec
    )
      throw new InfinitError('corrupt', 'block is not a node of this tree');
    const associated = Buffer.concat([this.treeTag, payload.subarray(0, 2)]);
    const packed = open(ref.key, zeroNonce, payload.subarray(2), associated);
    const plain = codec === 'none' ? packed : this.runtime.offload.decompressSync(packed, codec, nodeBytesMax);
    const node = new Node(plain);
    this.keep(name, node);
    return node;
  }

  private keep(name: string, node: Node): void {
    this.cache.set(name, node, node.bytes.buffer.byteLength + nodeOverheadBytes);
  }
}

export function nodeName(address: Bytes): string {
  return Buffer.from(address.buffer, address.byteOffset, address.byteLength).toString('latin1');
}
