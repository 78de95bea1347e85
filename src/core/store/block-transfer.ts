// Makes sure that others hold blocks this node holds, with generations at least its own: marks what they have, sends what they
// lack, and tells who confirmed, by store (docs/protocols.md 3). Drain, rebalance and surplus drop rely on it.

import { toHex } from '../base/bytes.ts';
import { type ErrorKind, isError } from '../base/errors.ts';
import { type Abortable, checkSignal, Semaphore } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Address, Member, NodeId } from '../block/address.ts';
import type { NodeRecord, Overlay } from '../overlay/overlay.ts';
import type { HeldBlocks } from './held-blocks.ts';
import { blockConfirm, blockCopy } from './messages.ts';
import type { Throttle } from './throttle.ts';

export interface BlockTransferParts {
  overlay: Overlay;
  held: HeldBlocks;
  throttle: Throttle;
}

/** A block held here, and the other nodes that are to hold it. */
export interface Wanted {
  readonly address: Address;
  readonly holders: readonly NodeRecord[];
}

export interface Confirmed {
  readonly address: Address;
  /** What it was here when others were asked; undefined when it was not here, or bad: then nobody confirmed. */
  readonly generation: number | undefined;
  /** Nodes that do not want it, because a sweep they know of says it is garbage. */
  readonly unwanted: readonly NodeId[];
  /** Distinct nodes that hold it durably with at least that generation, and the store each has it in. */
  readonly stores: readonly Member[];
}

export interface TransferCounters {
  confirmed: number;
  sent: number;
  sentBytes: number;
  failed: number;
}

interface Piece {
  readonly address: Address;
  readonly generation: number;
  readonly confirmed: Map<string, Member>;
  readonly unwanted: NodeId[];
}

/** Blocks sent at once; each is in memory once. */
const parallelBlocks = 4;
const nodesAtOnce = 8;

export class BlockTransfer {
  readonly counters: TransferCounters = { confirmed: 0, sent: 0, sentBytes: 0, failed: 0 };
  private readonly parts: BlockTransferParts;

  constructor(parts: BlockTransferParts) {
    this.parts = parts;
  }

  /**
   * One answer for each block, in order. Nodes that do not answer, are full or refuse are missing from the answers: that is no
   * error. At most `limits.transferBlocksMax` blocks. Throws `cancelled`.
   */
  async ensureHeld(wanted: readonly Wanted[], options: Abortable = {}): Promise<Confirmed[]> {
    if (wanted.length > limits.transferBlocksMax) throw new RangeError(`more than ${limits.transferBlocksMax} blocks`);
    const pieces = await Promise.all(
      wanted.map(async ({ address }): Promise<Piece | undefined> => {
        const generation = await this.parts.held.generation(address);
        return generation === undefined ? undefined : { address, generation, confirmed: new Map(), unwanted: [] };
      }),
    );
    const byNode = new Map<string, { node: NodeRecord; pieces: Piece[] }>();
    for (const [at, piece] of pieces.entries()) {
      for (const node of piece === undefined ? [] : (wanted[at] as Wanted).holders) {
        const share = byNode.get(toHex(node.id)) ?? { node, pieces: [] };
        if (!share.pieces.includes(piece as Piece)) share.pieces.push(piece as Piece);
        byNode.set(toHex(node.id), share);
      }
    }
    const asked = [...byNode.values()];
    await this.confirm(asked, options);
    const sent = await this.send(asked, options);
    await this.confirm(sent, options);
    return wanted.map(({ address }, at) => ({
      address,
      generation: pieces[at]?.generation,
      unwanted: pieces[at]?.unwanted ?? [],
      stores: [...(pieces[at]?.confirmed.values() ?? [])],
    }));
  }

  /** Asks each node about its pieces; what it confirms is noted in them. */
  private async confirm(shares: readonly { node: NodeRecord; pieces: Piece[] }[], options: Abortable): Promise<void> {
    const slots = new Semaphore(nodesAtOnce);
    await Promise.all(
      shares.map(({ node, pieces }) =>
        slots.run(async () => {
          for (let at = 0; at < pieces.length; at += limits.blockHaveMax) {
            const batch = pieces.slice(at, at + limits.blockHaveMax);
            if ((await this.attempt(() => this.confirmBatch(node, batch, options), options)) !== undefined) break;
          }
        }),
      ),
    );
  }

  private async confirmBatch(node: NodeRecord, pieces: readonly Piece[], options: Abortable): Promise<void> {
    const peer = await this.parts.overlay.peer(node.id, options);
    const blocks = pieces.map(({ address, generation }) => ({ address, generation }));
    const { store, held } = await peer.call(blockConfirm, { blocks }, options);
    // A store the node does not tell of was emptied or exchanged a moment ago: asked again when its record is known.
    if (!node.stores.some((known) => toHex(known) === toHex(store))) return;
    for (const [at, piece] of pieces.entries()) {
      if (held[at] !== true) continue;
      piece.confirmed.set(toHex(node.id), { node: node.id, store });
      this.counters.confirmed++;
    }
  }

  /** Sends each piece to those of its nodes that did not confirm it and take new data; returns who took what. */
  private async send(
    shares: readonly { node: NodeRecord; pieces: Piece[] }[],
    options: Abortable,
  ): Promise<{ node: NodeRecord; pieces: Piece[] }[]> {
    const lacking = new Map<Piece, NodeRecord[]>();
    for (const { node, pieces } of shares) {
      for (const piece of pieces)
        if (!piece.confirmed.has(toHex(node.id)) && !node.closed)
          lacking.set(piece, [...(lacking.get(piece) ?? []), node]);
    }
    const taken = new Map<NodeRecord, Piece[]>();
    const refused = new Set<NodeRecord>();
    const slots = new Semaphore(parallelBlocks);
    await Promise.all(
      [...lacking].map(([piece, nodes]) =>
        slots.run(async () => {
          const takers = nodes.filter((node) => !refused.has(node));
          if (takers.length === 0) return;
          for (const node of await this.sendOne(piece, takers, refused, options))
            taken.set(node, [...(taken.get(node) ?? []), piece]);
        }),
      ),
    );
    return [...taken].map(([node, pieces]) => ({ node, pieces }));
  }

  /** Returns who took it; who cannot be reached or takes nothing is not tried with the next. */
  private async sendOne(
    { address, unwanted }: Piece,
    nodes: readonly NodeRecord[],
    refused: Set<NodeRecord>,
    options: Abortable,
  ): Promise<NodeRecord[]> {
    const { overlay, held, throttle } = this.parts;
    const took: NodeRecord[] = [];
    await this.attempt(async () => {
      const { block, generation } = await held.get(address);
      for (const node of nodes) {
        await throttle.bytes(block.length, options);
        const failure = await this.attempt(async () => {
          const peer = await overlay.peer(node.id, options);
          await peer.call(blockCopy, { address, generation, block }, options);
        }, options);
        if (failure === 'conflict') unwanted.push(node.id);
        else if (failure !== undefined) refused.add(node);
        else {
          took.push(node);
          this.counters.sent++;
          this.counters.sentBytes += block.length;
        }
      }
    }, options);
    return took;
  }

  /** Why it failed: a reason of the other side, or that the copy here went or is bad. */
  private async attempt(task: () => Promise<void>, options: Abortable): Promise<ErrorKind | undefined> {
    checkSignal(options.signal);
    try {
      await task();
      return undefined;
    } catch (error) {
      checkSignal(options.signal);
      if (!isError(error, 'unavailable', 'denied', 'full', 'corrupt', 'not-found', 'unsupported', 'conflict'))
        throw error;
      if (error.kind !== 'conflict') this.counters.failed++;
      return error.kind;
    }
  }
}
