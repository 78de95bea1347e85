// The ring's invariants R1 to R6 (protocols 1.4) over the positions that are really alive.

import { limits } from '../../src/core/base/limits.ts';
import { cut, type Position } from '../../src/core/overlay/chord/state.ts';
import { between, byPoint, type Entry, type Point } from '../../src/core/overlay/ring.ts';

export type Members = ReadonlyMap<Point, Position>;

/** First live entry of the list, then of the spare list; the position itself when it is the only one. */
function best(position: Position, members: Members): Position | undefined {
  if (members.size === 1) return position;
  const live = [...position.list, ...position.spare].find((entry) => members.has(entry.point));
  return live && members.get(live.point);
}

const short = (entry: Entry) => entry.point.slice(0, 8);

/** R1: every position has a live entry. */
export function checkLiveEntry(members: Members): string | undefined {
  for (const position of members.values())
    if (best(position, members) === undefined) return `R1: ${short(position.self)} has no live entry`;
  return undefined;
}

/** R2: exactly one cycle, which everybody reaches. R3: it goes around once. */
export function checkOneRing(members: Members): string | undefined {
  const cycleOf = new Map<Point, Point>();
  const cycles: Position[][] = [];
  for (const start of members.values()) {
    const path: Position[] = [];
    let at: Position | undefined = start;
    while (at && !cycleOf.has(at.self.point)) {
      cycleOf.set(at.self.point, start.self.point);
      path.push(at);
      at = best(at, members);
    }
    if (at && cycleOf.get(at.self.point) === start.self.point) cycles.push(path.slice(path.indexOf(at)));
  }
  if (members.size > 0 && cycles.length !== 1)
    return `R2: ${cycles.length} rings, of ${cycles.map((each) => `${each.length} from ${each[0] && short(each[0].self)}`)}`;
  const points = (cycles[0] ?? []).map((position) => position.self.point);
  const wraps = points.filter((point, i) => (points[(i + 1) % points.length] as Point) <= point).length;
  return points.length > 0 && wraps !== 1 ? `R3: the ring winds ${wraps} times` : undefined;
}

/** R4: clockwise, no duplicates, never itself, within limits. */
export function checkLists(members: Members): string | undefined {
  for (const { self, list } of members.values())
    if (cut(self, list).length !== list.length) return `R4: the list of ${short(self)} is out of order`;
  return undefined;
}

export function checkStructure(members: Members): string | undefined {
  return checkLiveEntry(members) ?? checkOneRing(members) ?? checkLists(members);
}

/** R5, reported only: positions that no adjacent pair of any `[p] ++ list` skips. */
export function countPrincipals(members: Members): number {
  const points = [...members.keys()];
  const skipped = new Set<Point>();
  for (const { self, list } of members.values()) {
    let last = self.point;
    for (const entry of list) {
      for (const point of points) if (point !== self.point && between(last, point, entry.point)) skipped.add(point);
      last = entry.point;
    }
  }
  return points.length - skipped.size;
}

/** R6: lists and predecessors are exactly what the live positions make them. */
export function checkIdeal(members: Members): string | undefined {
  const sorted = [...members.values()].map((position) => position.self).sort(byPoint);
  for (const [i, self] of sorted.entries()) {
    const position = members.get(self.point) as Position;
    const ahead = sorted.slice(i + 1, i + 1 + limits.listPositionsMax);
    const around = sorted.slice(0, Math.min(i, limits.listPositionsMax - ahead.length));
    const want = cut(self, [...ahead, ...around]);
    const same =
      want.length === position.list.length && want.every((each, k) => each.point === position.list[k]?.point);
    if (!same) return `R6: list of ${short(self)} is ${position.list.map(short)}, not ${want.map(short)}`;
    const pred = sorted[(i + sorted.length - 1) % sorted.length] as Entry;
    if (sorted.length > 1 && position.pred?.point !== pred.point)
      return `R6: predecessor of ${short(self)} is ${position.pred && short(position.pred)}, not ${short(pred)}`;
  }
  return undefined;
}
