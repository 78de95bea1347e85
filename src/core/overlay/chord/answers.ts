// What a node answers about the ring from its own positions: their state, and who is responsible for a key or closer to it
// (protocols 1.2, 1.6). Pure.

import { toHex, utf8 } from '../../base/bytes.ts';
import { limits } from '../../base/limits.ts';
import { hash } from '../../crypto/hash.ts';
import { between, type Entry, type NodeName, type Point, within } from '../ring.ts';
import { headOf, type LivenessOf, type Position, type Ring, type StateAnswer } from './state.ts';

/**
 * `owners`: the positions from the key on, and the one before them. `closer`: before the key, the nearest first; and `behind`,
 * what the list of the answering position has from the key on, for whom all those before it keep silent.
 */
export type FindAnswer =
  | { type: 'owners'; after: Entry; entries: readonly Entry[] }
  | { type: 'closer'; entries: readonly Entry[]; behind: readonly Entry[] };

export interface FindOptions {
  /** Only the position just before the key answers: what Join and Unify need. */
  strict?: boolean;
  /** Distinct nodes wanted in `owners`. */
  want?: number;
  /** Fingers and contacts: more places to go on from. */
  hints?: Iterable<Entry>;
}

export const closerMax = 16;
/** Walks of upkeep are many and in no hurry. */
const strictCloserMax = 4;

/** Names a list, so that one already held need not be sent. */
export function digestOf(list: readonly Entry[]): string {
  return toHex(hash(utf8(list.map((entry) => entry.point).join('')))).slice(0, 16);
}

/** Undefined for a position that is not on the ring. */
export function stateOf(ring: Ring, index: number, held: string): StateAnswer | undefined {
  const position = ring.positions[index];
  if (!position?.joined) return undefined;
  return { list: held !== '' && digestOf(position.list) === held ? undefined : position.list, pred: position.pred };
}

/** Undefined while no position of the node is on the ring. */
export function findFrom(
  ring: Ring,
  key: Point,
  liveness: LivenessOf,
  options: FindOptions = {},
): FindAnswer | undefined {
  const here: LivenessOf = (node) => (node === ring.self ? 'alive' : liveness(node));
  const before = closestBefore(ring, key);
  if (before === undefined) return undefined;
  const head = headOf(before, here);
  const want = options.want ?? Number.POSITIVE_INFINITY;
  const own = (): FindAnswer => {
    return { type: 'owners', after: before.self, entries: firstNodes(from(before, head), want) };
  };
  if (head ? within(before.self.point, key, head.point) : isWhole(before)) return own();
  if (!options.strict) {
    const owner = ring.positions.find(
      ({ joined, pred, self }) => joined && pred && here(pred.node) !== 'dead' && within(pred.point, key, self.point),
    );
    if (owner?.pred)
      return { type: 'owners', after: owner.pred, entries: firstNodes([owner.self, ...owner.list], want) };
  }
  const behind = options.strict ? [] : firstNodes(listFrom(before, key, here), want);
  const entries = closer(ring, before, key, here, options);
  if (options.strict && head === undefined && entries.length === 0) return own();
  return { type: 'closer', entries, behind };
}

/** The joined position of this node that comes last before the key; one at the key itself is the farthest. */
function closestBefore(ring: Ring, key: Point): Position | undefined {
  let best: Position | undefined;
  for (const position of ring.positions) {
    if (!position.joined) continue;
    const { point } = position.self;
    if (best === undefined || best.self.point === key || (point !== key && between(best.self.point, point, key)))
      best = position;
  }
  return best;
}

/** The list from its first live entry on; behind a list that was not cut short comes the position itself. */
function from(position: Position, head: Entry | undefined): Entry[] {
  if (head === undefined) return [position.self];
  const at = position.list.indexOf(head);
  const entries = at < 0 ? [head] : position.list.slice(at);
  return isWhole(position) ? [...entries, position.self] : entries;
}

/** The list was not cut short: nobody else is known to be on the ring. A longer one whose nodes are all dead has lost the ring. */
function isWhole({ self, list }: Position): boolean {
  const others = new Set(list.map((entry) => entry.node));
  others.delete(self.node);
  return list.length < limits.listPositionsMax && others.size < limits.successorNodes;
}

/** What the list has from the key on. */
function listFrom({ self, list }: Position, key: Point, liveness: LivenessOf): Entry[] {
  return list.filter(({ node, point }) => !between(self.point, point, key) && liveness(node) !== 'dead');
}

function firstNodes(entries: readonly Entry[], want: number): Entry[] {
  const nodes = new Set<NodeName>();
  const out: Entry[] = [];
  for (const entry of entries) {
    nodes.add(entry.node);
    if (nodes.size > want) break;
    out.push(entry);
  }
  return out;
}

/** The nearest before the key, and of the position's own list, which is watched, the nearest too: fingers may all be dead. */
function closer(ring: Ring, start: Position, key: Point, liveness: LivenessOf, options: FindOptions): Entry[] {
  const count = options.strict ? strictCloserMax : closerMax;
  const origin = start.self.point;
  const nearest: Entry[] = [];
  const offer = (entry: Entry) => {
    const { point, node } = entry;
    const farthest = nearest.length < count ? origin : (nearest[count - 1] as Entry).point;
    if (!between(farthest, point, key) || liveness(node) === 'dead') return;
    let at = nearest.length;
    while (at > 0 && between((nearest[at - 1] as Entry).point, point, key)) at--;
    if (nearest[at - 1]?.point === point) return;
    if (nearest.length === count) nearest.pop();
    nearest.splice(at, 0, entry);
  };
  for (const position of ring.positions) {
    for (const entry of position.list) offer(entry);
    if (position.pred) offer(position.pred);
  }
  for (const entry of options.hints ?? []) offer(entry);
  const watched = start.list.findLast(({ point, node }) => between(origin, point, key) && liveness(node) !== 'dead');
  if (watched === undefined || nearest.some(({ point }) => point === watched.point)) return nearest;
  return [...nearest.slice(0, count - 1), watched];
}
