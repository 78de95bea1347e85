// The holder's side of immutable blocks: keeps what hashes to its address, with the garbage generation of its last put or
// touch. A stored value is {generation u32, block}; a later touch stands in the `generation` space beside it.

import { type Bytes, concatBytes, toHex, u32Bytes } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import { KeyedMutex } from '../base/lifecycle.ts';
import type { Address, NodeId } from '../block/address.ts';
import { checkImmutable } from '../block/immutable.ts';
import type { Peers } from '../peer/peer.ts';
import type { Silo } from '../silo/silo.ts';
import * as messages from './messages.ts';

const prefixBytes = 4;

export interface BlockServiceOptions {
  silo: Silo;
  peers: Peers;
  /** Whether the node is responsible for the address, in this node's view. */
  responsible: (address: Address, node: NodeId) => Promise<boolean>;
}

/** Blocks held by this node. One lock an address serialises put, touch and (later) sweep. */
export class BlockService {
  private readonly options: BlockServiceOptions;
  private readonly locks = new KeyedMutex();

  constructor(options: BlockServiceOptions) {
    this.options = options;
  }

  serve(): void {
    const { peers } = this.options;
    const put = async (request: { address: Address; generation: number; block: Bytes }) => {
      await this.put(request.address, request.block, request.generation);
      return {};
    };
    peers.serve(messages.blockPut, put);
    peers.serve(messages.blockCopy, put);
    peers.serve(messages.blockGet, ({ address }) => this.get(address));
    peers.serve(messages.blockRange, ({ address, offset, length }) => this.range(address, offset, length));
    peers.serve(messages.blockHave, ({ addresses }) => this.have(addresses));
    peers.serve(messages.blockTouch, ({ addresses, generation }) => this.touch(addresses, generation));
    peers.serve(messages.blockIndex, ({ node, after }) => this.index(node, after));
  }

  private async put(address: Address, block: Bytes, generation: number): Promise<void> {
    checkImmutable(address, block);
    await this.locks.run(toHex(address), async () => {
      if (await this.raise(address, generation)) return;
      await this.options.silo.put('block', address, concatBytes([u32Bytes(generation), block]));
    });
  }

  private async get(address: Address): Promise<{ generation: number; block: Bytes }> {
    const stored = await this.options.silo.get('block', address);
    return { generation: stored.readUInt32BE(0), block: stored.subarray(prefixBytes) };
  }

  private async range(address: Address, offset: number, length: number): Promise<{ part: Bytes }> {
    return { part: await this.options.silo.getRange('block', address, offset + prefixBytes, length) };
  }

  private async have(addresses: readonly Address[]): Promise<{ held: boolean[] }> {
    const sizes = await Promise.all(addresses.map((address) => this.options.silo.size('block', address)));
    return { held: sizes.map((size) => size !== undefined) };
  }

  private async touch(addresses: readonly Address[], generation: number): Promise<{ held: boolean[] }> {
    const one = (address: Address) => this.locks.run(toHex(address), () => this.raise(address, generation));
    return { held: await Promise.all(addresses.map(one)) };
  }

  /** Marks a held block with at least the generation; false when it is not held. */
  private async raise(address: Address, generation: number): Promise<boolean> {
    const { silo } = this.options;
    if ((await silo.size('block', address)) === undefined) return false;
    if ((await this.generation(address)) < generation) await silo.put('generation', address, u32Bytes(generation));
    return true;
  }

  private async generation(address: Address): Promise<number> {
    const { silo } = this.options;
    const own = (await silo.getRange('block', address, 0, prefixBytes)).readUInt32BE(0);
    try {
      return Math.max(own, (await silo.get('generation', address)).readUInt32BE(0));
    } catch (error) {
      if (isError(error, 'not-found')) return own;
      throw error;
    }
  }

  private async index(
    node: NodeId,
    after: Address | undefined,
  ): Promise<{ addresses: Address[]; next: Address | undefined }> {
    const addresses: Address[] = [];
    let seen = 0;
    for await (const address of this.options.silo.list('block', after)) {
      if (await this.options.responsible(address, node)) addresses.push(address);
      if (++seen === messages.indexPageMax) return { addresses, next: address };
    }
    return { addresses, next: undefined };
  }
}
