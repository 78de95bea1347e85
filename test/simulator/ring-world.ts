// A wire and a clock for many ring machines, driven by a seed: loss, delay, stale replies, one-way partitions, crashes. The
// machines are the production ones; only sockets, records and real time are missing.

import { hash } from '../../src/core/crypto/hash.ts';
import type { Answers, MethodName, Outgoing } from '../../src/core/overlay/chord/calls.ts';
import { Machine, type MachineOptions } from '../../src/core/overlay/chord/machine.ts';
import type { Position } from '../../src/core/overlay/chord/state.ts';
import type { NodeName, Point } from '../../src/core/overlay/ring.ts';
import { EventQueue } from './runtime/event-queue.ts';
import { SeededRandom } from './runtime/random.ts';

export interface Faults {
  lossProbability: number;
  delayMsMin: number;
  delayMsMax: number;
  /** Chance that a message takes up to ten times the longest delay. */
  straggleProbability: number;
}

export const calm: Faults = { lossProbability: 0, delayMsMin: 1, delayMsMax: 5, straggleProbability: 0 };

export interface SimulatedNode {
  readonly name: NodeName;
  machine: Machine;
  up: boolean;
  life: number;
  wakeAt: number;
}

export type Hook = (node: SimulatedNode) => void;

export class RingWorld {
  now = 0;
  faults: Faults = calm;
  messages = 0;
  readonly random: SeededRandom;
  readonly nodes = new Map<NodeName, SimulatedNode>();
  /** Of nodes that were resized. */
  private readonly declared = new Map<NodeName, number>();
  /** `from>to` pairs whose messages vanish. */
  readonly blocked = new Set<string>();
  /** Called after every input of a node. */
  afterStep: Hook = () => {};
  /** Called with every message: a call, and its answer when there is one. */
  onMessage: (from: NodeName, outgoing: Outgoing, answer: Answers[MethodName] | undefined) => void = () => {};
  /** Detectors are told the truth at once: Zave's assumption. */
  oracle = false;
  step: MachineOptions['step'];
  private readonly queue = new EventQueue();
  private order = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(`ring ${seed}`);
  }

  name(number: number): NodeName {
    return hash(Buffer.from(`node ${number}`)).toString('hex');
  }

  start(number: number, positions: number, contacts: readonly NodeName[]): SimulatedNode {
    const name = this.name(number);
    const life = (this.nodes.get(name)?.life ?? 0) + 1;
    const random = this.random.fork(`${number}/${life}`);
    const options: MachineOptions = { self: name, positions, incarnation: life * 1_000_000, random };
    if (this.step) options.step = this.step;
    const machine = new Machine(options);
    if (this.oracle)
      Object.defineProperty(machine.detector, 'liveness', {
        value: (other: NodeName) => (this.nodes.get(other)?.up ? 'alive' : 'dead'),
      });
    const node: SimulatedNode = { name, machine, up: true, life, wakeAt: Number.POSITIVE_INFINITY };
    this.nodes.set(name, node);
    machine.join(contacts, this.now);
    this.settle(node);
    return node;
  }

  crash(node: SimulatedNode): void {
    node.up = false;
  }

  leave(node: SimulatedNode): void {
    node.machine.leave(this.now);
    this.settle(node);
    this.after(3000, () => {
      node.up = false;
    });
  }

  /** The node holds another number of positions; each of the others hears of its new record within some seconds. */
  resize(node: SimulatedNode, positions: number): void {
    this.declared.set(node.name, positions);
    node.machine.resize(positions, this.now);
    this.settle(node);
    for (const other of this.live())
      if (other !== node)
        this.after(this.random.below(5000), () => {
          if (!this.runs(other)) return;
          other.machine.withdrawn(node.name, this.declared.get(node.name) ?? positions, this.now);
          this.settle(other);
        });
  }

  pick<T>(items: readonly T[]): T {
    return items[this.random.below(items.length)] as T;
  }

  live(): SimulatedNode[] {
    return [...this.nodes.values()].filter((node) => node.up);
  }

  /** Joined positions of live nodes by point. */
  members(): Map<Point, Position> {
    const out = new Map<Point, Position>();
    for (const node of this.live())
      for (const position of node.machine.ring.positions) if (position.joined) out.set(position.self.point, position);
    return out;
  }

  block(from: SimulatedNode, to: SimulatedNode): void {
    this.blocked.add(`${from.name}>${to.name}`);
  }

  after(delayMs: number, run: () => void): void {
    this.queue.push({ at: this.now + delayMs, tie: 0, sequence: this.order++, label: '', task: run });
  }

  run(durationMs: number): void {
    const end = this.now + durationMs;
    for (;;) {
      const next = this.queue.peek();
      if (next === undefined || next.at > end) break;
      this.queue.pop();
      this.now = next.at;
      next.task?.();
    }
    this.now = end;
  }

  /** Sends what a node wants sent and sees to its timers. */
  settle(node: SimulatedNode): void {
    this.afterStep(node);
    node.machine.takeChanges();
    for (const outgoing of node.machine.takeOutbox()) this.carry(node, outgoing);
    const wake = node.machine.nextWake;
    if (wake >= node.wakeAt || !Number.isFinite(wake)) return;
    node.wakeAt = wake;
    const { life } = node;
    this.after(Math.max(0, wake - this.now), () => {
      const current = this.nodes.get(node.name);
      if (!node.up || current !== node || node.life !== life || node.wakeAt !== wake) return;
      node.wakeAt = Number.POSITIVE_INFINITY;
      node.machine.wake(this.now);
      this.settle(node);
    });
  }

  private runs(node: SimulatedNode): boolean {
    return node.up && this.nodes.get(node.name) === node;
  }

  /** How long a message takes; undefined when it is lost. */
  private delay(from: NodeName, to: NodeName): number | undefined {
    const { lossProbability, delayMsMin, delayMsMax, straggleProbability } = this.faults;
    if (this.blocked.has(`${from}>${to}`) || this.random.fraction() < lossProbability) return undefined;
    const delay = delayMsMin + this.random.below(delayMsMax - delayMsMin + 1);
    return this.random.fraction() < straggleProbability ? delay * (1 + this.random.below(10)) : delay;
  }

  private carry(from: SimulatedNode, outgoing: Outgoing): void {
    this.messages++;
    this.onMessage(from.name, outgoing, undefined);
    let open = true;
    const settle = (input: () => void) => {
      if (!open || !this.runs(from)) return;
      open = false;
      input();
      this.settle(from);
    };
    this.after(outgoing.timeoutMs, () => settle(() => from.machine.failed(outgoing.id, this.now)));
    const there = this.delay(from.name, outgoing.to);
    if (there === undefined) return;
    this.after(there, () => {
      const to = this.nodes.get(outgoing.to);
      if (!to?.up) {
        settle(() => from.machine.failed(outgoing.id, this.now));
        return;
      }
      const answer = to.machine.requested(from.name, outgoing.call.method, outgoing.call.request, this.now);
      this.settle(to);
      const probed = outgoing.call.method === 'gossip' && outgoing.call.request.about;
      const extra = probed ? this.helperProbe(to.name, probed) : 0;
      if (extra === undefined) (answer as Answers['gossip']).reached = false;
      this.onMessage(to.name, outgoing, answer);
      const back = this.delay(to.name, from.name);
      if (back !== undefined)
        this.after(back + (extra ?? 0), () => settle(() => from.machine.answered(outgoing.id, answer, this.now)));
    });
  }

  private helperProbe(via: NodeName, about: NodeName): number | undefined {
    const there = this.delay(via, about);
    const back = this.delay(about, via);
    return there === undefined || back === undefined || !this.nodes.get(about)?.up ? undefined : there + back;
  }
}
