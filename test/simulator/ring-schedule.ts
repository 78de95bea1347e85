// Seeded schedules for the ring: what happens to a network of many nodes, and what is checked while it does.

import type { Position } from '../../src/core/overlay/chord/state.ts';
import type { NodeName, Point } from '../../src/core/overlay/ring.ts';
import { checkIdeal, checkStructure, countPrincipals, type Members } from './ring-checkers.ts';
import { calm, RingWorld, type SimulatedNode } from './ring-world.ts';

export interface Outcome {
  failure: string | undefined;
  messages: number;
  joins: number;
  crashes: number;
  leaves: number;
  partitions: number;
  /** Smallest number of principals seen (R5), where it was watched. */
  principalsMin: number;
  /** From the last fault to the ideal ring. */
  healedMs: number;
}

export interface ScheduleOptions {
  seed: number;
  nodes: number;
  positions: number;
  events: number;
  /** Before the schedule runs: plants bugs, changes faults. */
  prepare?: (world: RingWorld) => void;
}

function start(world: RingWorld, number: number, positions: number, count = 2): SimulatedNode {
  const live = world.live().map((node) => node.name);
  const contacts: NodeName[] = [];
  while (contacts.length < Math.min(count, live.length)) contacts.push(world.pick(live));
  return world.start(number, positions, contacts);
}

function grow(world: RingWorld, options: ScheduleOptions): void {
  for (let number = 0; number < options.nodes; number++) {
    start(world, number, options.positions);
    world.run(50);
  }
  world.run(20_000);
}

export function outcomeOf(world: RingWorld): Outcome {
  const none = { joins: 0, crashes: 0, leaves: 0, partitions: 0 };
  return {
    failure: undefined,
    messages: world.messages,
    ...none,
    principalsMin: Number.POSITIVE_INFINITY,
    healedMs: 0,
  };
}

/** Whether every live position keeps a live entry of another node when this node is gone: Zave's operating assumption. */
function mayGo(world: RingWorld, victim: SimulatedNode, nodesMin: number): boolean {
  if (world.live().length <= nodesMin) return false;
  const members = world.members();
  for (const { self, list } of members.values()) {
    if (self.node === victim.name) continue;
    const other = list.some(({ node, point }) => members.has(point) && node !== victim.name && node !== self.node);
    if (!other) return false;
  }
  return true;
}

/**
 * Joins, crashes and leaves under delay and stale replies, never against Zave's assumption, with a detector that knows the
 * truth. R1 to R4 are checked whenever a pointer has changed; R5 is counted.
 */
export function structureSchedule(options: ScheduleOptions): Outcome {
  const world = new RingWorld(options.seed);
  world.oracle = true;
  world.faults = { lossProbability: 0, delayMsMin: 1, delayMsMax: 60, straggleProbability: 0.05 };
  options.prepare?.(world);
  const result = outcomeOf(world);
  const versions = new Map<NodeName, number>();
  const check = (node?: SimulatedNode) => {
    if (result.failure || (node && versions.get(node.name) === node.machine.ring.version)) return;
    if (node) versions.set(node.name, node.machine.ring.version);
    const problem = checkStructure(world.members());
    if (problem) result.failure = `${problem} at ${world.now} ms`;
  };
  grow(world, options);
  world.afterStep = check;
  let next = options.nodes;
  for (let event = 0; event < options.events && !result.failure; event++) {
    const victim = world.pick(world.live());
    const what = world.random.below(3);
    if (what === 0) {
      start(world, next++, options.positions, 8);
      result.joins++;
    } else if (mayGo(world, victim, 12)) {
      if (what === 1) world.crash(victim);
      else world.leave(victim);
      result[what === 1 ? 'crashes' : 'leaves']++;
      check();
    }
    if (event % 20 === 0) result.principalsMin = Math.min(result.principalsMin, countPrincipals(world.members()));
    world.run(world.random.below(700));
  }
  result.failure ??= heal(world, result);
  return result;
}

/** Anything at all: loss, stragglers, wrong suspicion, crashes in bulk, restarts, partitions of both kinds. Only R6 counts. */
export function chaosSchedule(options: ScheduleOptions): Outcome {
  const world = new RingWorld(options.seed);
  options.prepare?.(world);
  const result = outcomeOf(world);
  world.faults = { lossProbability: 0.05, delayMsMin: 1, delayMsMax: 200, straggleProbability: 0.1 };
  grow(world, options);
  let next = options.nodes;
  for (let event = 0; event < options.events; event++) {
    const live = world.live();
    const what = world.random.below(10);
    if (what < 3) {
      start(world, next++, options.positions);
      result.joins++;
    } else if (what < 6 && live.length > 3) {
      const count = world.random.below(10) === 0 ? Math.floor(live.length / 3) : 1;
      for (let i = 0; i < count; i++) world.crash(world.pick(live));
      result.crashes += count;
    } else if (what < 7 && live.length > 3) {
      world.leave(world.pick(live));
      result.leaves++;
    } else if (what < 8) partition(world, result);
    else if (what < 9) world.blocked.clear();
    else restart(world, options.positions);
    world.run(world.random.below(4000));
  }
  result.failure = heal(world, result);
  return result;
}

/** A random part of the nodes cannot reach the rest, in one direction or in both. */
function partition(world: RingWorld, result: Outcome): void {
  const live = world.live();
  const part = new Set(live.filter(() => world.random.below(2) === 0));
  const oneWay = world.random.below(2) === 0;
  for (const a of part)
    for (const b of live)
      if (!part.has(b)) {
        world.block(a, b);
        if (!oneWay) world.block(b, a);
      }
  result.partitions++;
}

/** A node that was down comes back with the contacts it remembered, under the same id. */
function restart(world: RingWorld, positions: number): void {
  const down = [...world.nodes.values()].filter((node) => !node.up);
  if (down.length === 0) return;
  const node = world.pick(down);
  const number = [...world.nodes.keys()].indexOf(node.name);
  world.start(number, positions, node.machine.contacts.all());
}

const healLimitMs = 20 * 60_000;

/** Faults end; R6: in time, everything is exact. */
export function heal(world: RingWorld, result: Outcome): string | undefined {
  world.faults = calm;
  world.blocked.clear();
  world.run(4000);
  const began = world.now;
  let problem = idealOf(world);
  while (problem && world.now - began < healLimitMs) {
    world.run(1000);
    problem = idealOf(world);
  }
  result.healedMs = world.now - began;
  result.messages = world.messages;
  return problem;
}

export function idealOf(world: RingWorld): string | undefined {
  const members: Members = world.members();
  const wanted = world.live().reduce((sum, node) => sum + node.machine.ring.positions.length, 0);
  return members.size === wanted ? checkIdeal(members) : `R6: ${wanted - members.size} positions have not joined`;
}

/** Replaces every pointer by a random one, as if anything had happened; contacts connect the nodes in a line. */
export function scramble(world: RingWorld): void {
  const entries = [...world.members().values()].map((position: Position) => position.self);
  const random = () => world.pick(entries);
  for (const node of world.live()) {
    const positions = node.machine.ring.positions.map((position) => {
      const list = Array.from({ length: world.random.below(9) }, random);
      const clean = list.filter(({ point }: { point: Point }) => point !== position.self.point);
      const pred = world.random.below(3) === 0 ? undefined : random();
      return {
        ...position,
        list: clean.slice(0, 1),
        heard: '',
        spare: clean.slice(1, 2),
        pred,
        better: undefined,
        query: undefined,
      };
    });
    node.machine.ring = { ...node.machine.ring, positions };
  }
}
