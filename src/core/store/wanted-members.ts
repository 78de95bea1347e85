// Which members a register should have, given who is alive, away, evicted or leaving, and where placement puts it; pure
// (docs/protocols.md 2.5, 2.10).

import { toHex } from '../base/bytes.ts';
import type { Member, NodeId } from '../block/address.ts';
import type { NodeRecord } from '../overlay/overlay.ts';

/** What is known of the nodes around one address. */
export interface Surroundings {
  readonly replicationFactor: number;
  /** Placement over all nodes not evicted: the first n; the same with closed and leaving ones; and open ones further on. */
  readonly placed: readonly NodeRecord[];
  readonly all: readonly NodeRecord[];
  readonly further: readonly NodeRecord[];
  record(id: NodeId): NodeRecord | undefined;
  isAlive(id: NodeId): boolean;
  isEvicted(id: NodeId): boolean;
}

/**
 * The members it has, with exchanged stores replaced, without those that leave or were evicted, filled up to n by placement with
 * nodes that are alive. With `moves` also without those placement does not name any more. Nobody is dropped without another in his
 * place, except who leaves, and an evicted one where the others then bear one more failure: with 3 left of 5, not with 2 of 3.
 */
export function wantedMembers(
  current: readonly Member[],
  around: Surroundings,
  { moves }: { moves: boolean },
): Member[] {
  const groups = { kept: [] as Member[], misplaced: [] as Member[], evicted: [] as Member[], leaving: [] as Member[] };
  for (const member of current) groups[standing(member, around, moves)].push(renewed(member, around));
  const wanted = [...groups.kept];
  const add = (member: Member) => {
    if (!wanted.some(({ node }) => toHex(node) === toHex(member.node))) wanted.push(member);
  };
  for (const { id, stores, leaving } of [...around.placed, ...around.further]) {
    const store = stores[0];
    if (wanted.length >= around.replicationFactor) break;
    if (store !== undefined && !leaving && around.isAlive(id)) add({ node: id, store });
  }
  for (const member of groups.misplaced) if (wanted.length < around.replicationFactor) add(member);
  const [back] = groups.evicted;
  if (back !== undefined && wanted.length < around.replicationFactor && wanted.length % 2 === 0) add(back);
  if (wanted.length === 0) return groups.leaving.length > 0 ? groups.leaving : [...current];
  return wanted;
}

function standing(member: Member, around: Surroundings, moves: boolean): 'kept' | 'misplaced' | 'evicted' | 'leaving' {
  const { node } = member;
  if (around.isEvicted(node)) return 'evicted';
  if (around.record(node)?.leaving && around.isAlive(node)) return 'leaving';
  if (!moves) return 'kept';
  const isNamed = [...around.placed, ...around.all].some(({ id }) => toHex(id) === toHex(node));
  return isNamed ? 'kept' : 'misplaced';
}

/** The store its node has now. */
function renewed({ node, store }: Member, { record }: Surroundings): Member {
  const stores = record(node)?.stores ?? [];
  const [now] = stores;
  return now === undefined || stores.some((known) => toHex(known) === toHex(store))
    ? { node, store }
    : { node, store: now };
}
