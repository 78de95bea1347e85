// The trees open in this process, as others reach them: serves the methods of `messages.ts` once on a `Peers` and hands each
// request to the tree it names.

import { type Bytes, toHex } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import type { Peer, PeerIdentity, Peers } from '../peer/peer.ts';
import { type LockCall, treeLock } from './locks/lock-messages.ts';
import {
  type AttachReply,
  type Changes,
  type CollectionStatus,
  type CollectRequest,
  type OperationRequest,
  type Outcome,
  type QueryAnswer,
  type QueryRequest,
  treeAttach,
  treeCollect,
  treeDo,
  treeInvalidate,
  treeQuery,
  treeWatch,
  treeYield,
} from './messages.ts';

/** A tree's answers to others; each checks the caller against the tree's access list. */
export interface ServedTree {
  serveDo(request: OperationRequest, from: PeerIdentity): Promise<Outcome>;
  serveQuery(request: QueryRequest, from: PeerIdentity, peer: Peer): Promise<QueryAnswer>;
  serveLock(call: LockCall, from: PeerIdentity): Promise<Outcome>;
  serveInvalidate(): void;
  serveAttach(from: PeerIdentity): AttachReply;
  serveWatch(after: number, waitMs: number, from: PeerIdentity): Promise<Changes>;
  serveCollect(request: CollectRequest, from: PeerIdentity): CollectionStatus | undefined;
  serveYield(from: PeerIdentity): Promise<Record<string, never>>;
}

export class TreeDirectory {
  readonly peers: Peers;
  private readonly trees = new Map<string, ServedTree>();

  constructor(peers: Peers) {
    this.peers = peers;
    peers.serve(treeDo, async (request, { from }) => {
      const tree = this.trees.get(toHex(request.treeId));
      return tree ? tree.serveDo(request, from) : { type: 'moved', epoch: 0, role: 'none' };
    });
    peers.serve(treeQuery, async (request, { from, peer }) => {
      const tree = this.trees.get(toHex(request.treeId));
      if (tree) return tree.serveQuery(request, from, peer);
      return { outcome: { type: 'moved', epoch: 0, role: 'none' }, leaseMs: 0 };
    });
    peers.serve(treeLock, async (call, { from }) => {
      const tree = this.trees.get(toHex(call.treeId));
      return tree ? tree.serveLock(call, from) : { type: 'moved', epoch: 0, role: 'none' };
    });
    peers.serve(treeInvalidate, (request) => {
      this.trees.get(toHex(request.treeId))?.serveInvalidate();
      return {};
    });
    peers.serve(treeAttach, (request, { from }) => {
      const tree = this.trees.get(toHex(request.treeId));
      return tree ? tree.serveAttach(from) : { role: 'none', epoch: 0, sequence: 0 };
    });
    peers.serve(treeCollect, (request, { from }) => ({
      status: this.trees.get(toHex(request.treeId))?.serveCollect(request, from),
    }));
    peers.serve(treeYield, async (request, { from }) => {
      return (await this.trees.get(toHex(request.treeId))?.serveYield(from)) ?? {};
    });
    peers.serve(treeWatch, async (request, { from }) => {
      const tree = this.trees.get(toHex(request.treeId));
      return tree ? tree.serveWatch(request.after, request.waitMs, from) : { type: 'moved', epoch: 0, role: 'none' };
    });
  }

  /** Returns what takes it off again. One opening of a tree a process. */
  add(treeId: Bytes, tree: ServedTree): () => void {
    const name = toHex(treeId);
    if (this.trees.has(name)) throw new InfinitError('exists', 'the tree is open in this process');
    this.trees.set(name, tree);
    return () => this.trees.delete(name);
  }
}
