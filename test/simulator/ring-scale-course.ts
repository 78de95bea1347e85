// What is measured of a large ring: built ideal, looked up in, half of it failed at once, looked up in before anybody noticed and
// before anything was mended, healed by the production steps, checked on all nodes (R1 to R4, R6), looked up in again.

import { limits } from '../../src/core/base/limits.ts';
import { Fingers } from '../../src/core/overlay/chord/fingers.ts';
import { distance, type Entry } from '../../src/core/overlay/ring.ts';
import { checkIdeal, checkStructure } from './ring-checkers.ts';
import { ScaleRing } from './ring-scale.ts';
import { levelsFor } from './ring-scale-fingers.ts';
import { Healing, type Round } from './ring-scale-heal.ts';
import { type LookupFigures, Lookups } from './ring-scale-lookups.ts';
import { measureUpkeep, type Upkeep } from './ring-scale-upkeep.ts';

export interface CourseOptions {
  nodes: number;
  lookups: number;
  seed?: number;
  /** Machines run for upkeep, each for so many minutes of its time. */
  machines: number;
  minutes: number;
  /** Told of every stage as it ends, and of rounds of healing. */
  onStage?: (name: string, facts: unknown) => void;
}

export interface CourseFigures {
  bytesPerNode: number;
  listEntries: number;
  fingers: number;
  upkeep: Upkeep;
  whole: LookupFigures;
  /** Questions a lookup repeated within half a minute asks. */
  cached: number;
  /** Share of live nodes with nobody left in their list, right after half of all failed. */
  lost: number;
  /** Lists and fingers as they were, nobody known dead. */
  unnoticed: LookupFigures;
  /** Dead neighbours known, nothing mended. */
  noticed: LookupFigures;
  rounds: Round[];
  /** R1 to R4 and R6 over all live nodes; undefined when they hold. */
  violation: string | undefined;
  /** Lists exact, fingers still those from before. */
  healed: LookupFigures;
  /** Sampled nodes whose fingers, refreshed by production code one by one, are not those of the ring. */
  fingersWrong: number;
  refreshed: LookupFigures;
}

const fingerSample = 10;

/** Mean questions base-16 fingers promise for so many nodes, the last one included (protocols 1.9). */
export function promisedHops(nodes: number): number {
  return (15 / 16) * (Math.log2(nodes) / 4) + 1;
}

/**
 * Share of keys whose live owner stands in the list of the nearest live node before them, when half of all are dead: fewer than R
 * dead in a row around the key.
 */
export function reachableShare(): number {
  const { successorNodes } = limits;
  return 1 - (successorNodes + 2) / 2 ** (successorNodes + 1);
}

export async function runCourse(options: CourseOptions): Promise<CourseFigures> {
  const { nodes, lookups, machines, minutes, seed = 1, onStage = () => {} } = options;
  const stage = <T>(name: string, value: T): T => {
    onStage(name, value);
    return value;
  };
  const ring = new ScaleRing(nodes, seed);
  const look = (name: string) => new Lookups(ring, name).measure(lookups);
  stage('built', { bytesPerNode: ring.bytesPerNode });
  const whole = stage('lookups, whole', await look('whole'));
  const cached = stage('lookups, cached', await new Lookups(ring, 'cached').measureCached(Math.min(1000, lookups)));
  const upkeep = stage('upkeep', await measureUpkeep(ring, machines, minutes));
  const sizes = { listEntries: ring.meanList(), fingers: ring.meanFingers() };
  ring.failAtOnce(0.5);
  const lost = stage('lost', ring.lostShare());
  const unnoticed = stage('lookups, unnoticed', await look('unnoticed'));
  ring.detected = true;
  const noticed = stage('lookups, noticed', await look('noticed'));
  const rounds = new Healing(ring).run((round) => onStage('round', round));
  const violation = stage('violation', violationOf(ring));
  const healed = stage('lookups, healed', await look('healed'));
  const fingersWrong = stage('fingers wrong', await refresh(ring));
  const refreshed = stage('lookups, refreshed', await look('refreshed'));
  const states = { unnoticed, noticed, healed, refreshed };
  return {
    bytesPerNode: ring.bytesPerNode,
    ...sizes,
    upkeep,
    whole,
    cached,
    lost,
    ...states,
    rounds,
    violation,
    fingersWrong,
  };
}

function violationOf(ring: ScaleRing): string | undefined {
  const members = ring.members();
  return checkStructure(members) ?? checkIdeal(members);
}

/** Refreshes all fingers at once, and those of a few nodes as production does; the number of these with another result. */
async function refresh(ring: ScaleRing): Promise<number> {
  const lookups = new Lookups(ring, 'refresh');
  const sample = Array.from({ length: fingerSample }, () => {
    const rank = lookups.liveRank();
    return { rank, before: [...ring.fingersOf(rank)] };
  });
  ring.refreshFingers();
  const lowest = 2 * 32 - levelsFor(ring.size);
  let wrong = 0;
  for (const { rank, before } of sample) {
    const self = ring.entry(rank);
    const position = ring.load(rank).positions[0];
    const fingers = new Fingers([self.point]);
    for (const entry of before) fingers.heard(entry);
    for (let turn = 0; turn < ring.fingerSlots; turn++) {
      const start = fingers.next([position?.list.at(-1)?.point]);
      const [owner] = (await lookups.run(rank, start)).entries;
      if (owner && owner.node !== self.node) fingers.found(start, owner);
    }
    // Levels below the span of the list are not refreshed: the list stands for them.
    const span = distance(self.point, position?.list.at(-1)?.point ?? self.point).toString(16).length - 1;
    const shortest = 1n << BigInt(4 * Math.max(lowest, span));
    const points = (entries: Iterable<Entry>) =>
      [...entries].flatMap(({ point }) => (distance(self.point, point) >= shortest ? [point] : [])).sort();
    if (points(fingers.entries()).join() !== points(ring.fingersOf(rank)).join()) wrong++;
  }
  return wrong;
}
