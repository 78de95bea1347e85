// Failure detectors of many nodes against each other in virtual time, with links that lose and processes that stand still: how
// often somebody is suspected or given up who is there, and how soon somebody is who is not.

import { Detector, type DetectorEffect, type News } from '../../src/core/overlay/detector.ts';
import type { NodeName } from '../../src/core/overlay/ring.ts';
import { SeededRandom } from './runtime/random.ts';

export interface DetectorWorldOptions {
  seed: number;
  nodes: number;
  minutes: number;
  corrected: boolean;
  /** Of single messages, 0..1. */
  loss?: number;
  /** Nodes that stand still now and then: how many, for how long, how often; milliseconds. */
  pauses?: { nodes: number; lengthMs: [number, number]; everyMs: [number, number] };
}

export interface DetectorFigures {
  /** Pairs that came to suspect, and gave up, somebody who was running. */
  suspected: number;
  buried: number;
  /** Of them, by nodes that never stand still of such nodes. */
  buriedBetweenHealthy: number;
  /** From the end of one node until the first, and until all others, gave it up; milliseconds. */
  firstMs: number;
  allMs: number;
}

interface Task {
  at: number;
  order: number;
  /** Messages wait for the timers that are due when a process goes on. */
  isTimer: boolean;
  run: () => void;
}

interface Process {
  name: NodeName;
  detector: Detector;
  pausedUntil: number;
  pauses: boolean;
  gone: boolean;
  held: Task[];
}

const latencyMs: [number, number] = [1, 30];
const viaTimeoutMs = 1500;
const crashLimitMs = 10 * 60_000;

export class DetectorWorld {
  private readonly options: DetectorWorldOptions;
  private readonly random: SeededRandom;
  private readonly processes: Process[];
  private readonly byName: Map<NodeName, Process>;
  private readonly tasks: Task[] = [];
  private now = 0;
  private order = 0;
  private readonly figures: DetectorFigures = {
    suspected: 0,
    buried: 0,
    buriedBetweenHealthy: 0,
    firstMs: 0,
    allMs: 0,
  };
  private buriedVictim: { by: Set<NodeName>; victim: NodeName } | undefined;

  constructor(options: DetectorWorldOptions) {
    this.options = options;
    this.random = new SeededRandom(`detectors ${options.seed}`);
    const { corrected } = options;
    this.processes = Array.from({ length: options.nodes }, (_, i) => {
      const name = (i + 1).toString(16).padStart(64, '0');
      const detector = new Detector(name, 1, this.random.fork(name), { corrected });
      const pauses = i < (options.pauses?.nodes ?? 0);
      return { name, detector, pausedUntil: 0, pauses, gone: false, held: [] };
    });
    this.byName = new Map(this.processes.map((process) => [process.name, process]));
  }

  /** Runs for the time with everybody there, then ends one node for good. */
  run(): DetectorFigures {
    for (const process of this.processes) {
      for (const { name } of this.processes) if (name !== process.name) process.detector.seen(name, 1, 0);
      process.detector.effects = [];
      this.timer(process, this.random.below(1000), () => this.tick(process));
      if (process.pauses) this.pauseLater(process);
    }
    this.until(() => this.now >= this.options.minutes * 60_000);
    const victim = this.processes.at(-1) as Process;
    victim.gone = true;
    const by = new Set<NodeName>();
    this.buriedVictim = { by, victim: victim.name };
    const crashedAt = this.now;
    this.until(() => by.size > 0 || this.now > crashedAt + crashLimitMs);
    this.figures.firstMs = this.now - crashedAt;
    this.until(() => by.size === this.processes.length - 1 || this.now > crashedAt + crashLimitMs);
    this.figures.allMs = this.now - crashedAt;
    return this.figures;
  }

  private until(done: () => boolean): void {
    while (!done()) {
      const task = this.pop();
      this.now = Math.max(this.now, task.at);
      task.run();
    }
  }

  private tick(process: Process): void {
    const targets = this.processes.filter((other) => other !== process).map(({ name }) => name);
    process.detector.tick(this.now, targets);
    this.effects(process);
    this.timer(process, process.detector.periodMs * (0.8 + 0.4 * this.random.fraction()), () => this.tick(process));
  }

  private effects(process: Process): void {
    const { detector } = process;
    while (detector.effects.length > 0) for (const effect of detector.effects.splice(0)) this.effect(process, effect);
  }

  private effect(process: Process, effect: DetectorEffect): void {
    const { detector } = process;
    if (effect.type === 'changed') {
      this.count(process, effect.node, effect.to);
      return;
    }
    const isPing = effect.type === 'ping';
    const to = isPing ? effect.to : effect.via;
    const timeoutMs = isPing ? detector.pingTimeoutMs : Math.max(viaTimeoutMs, detector.pingTimeoutMs);
    this.ask(process, to, isPing ? undefined : effect.about, timeoutMs, (reached) => {
      if (isPing) {
        if (!reached) detector.pingFailed(to, this.now);
      } else detector.helperAnswered(effect.about, reached, this.now);
      this.effects(process);
    });
  }

  /** A gossip call; the result is undefined when no answer came in time. */
  private ask(
    from: Process,
    to: NodeName,
    about: NodeName | undefined,
    timeoutMs: number,
    ended: (reached: boolean | undefined) => void,
  ): void {
    let open = true;
    const end = (reached: boolean | undefined) => {
      if (open) ended(reached);
      open = false;
    };
    const news = from.detector.takeNews(to);
    const { incarnation } = from.detector;
    this.timer(from, timeoutMs, () => end(undefined));
    const target = this.byName.get(to) as Process;
    this.message(target, () => {
      target.detector.seen(from.name, incarnation, this.now);
      this.hear(target, news);
      const answer = (reached: boolean) => {
        const back = target.detector.takeNews(from.name);
        const { incarnation: theirs } = target.detector;
        this.message(from, () => {
          if (!open) return;
          from.detector.reached(to, theirs, this.now);
          this.hear(from, back);
          end(reached);
        });
      };
      if (about === undefined) answer(true);
      else this.ask(target, about, undefined, target.detector.pingTimeoutMs, (reached) => answer(reached === true));
    });
  }

  private hear(process: Process, news: readonly News[]): void {
    for (const each of news) process.detector.heard(each, this.now);
    this.effects(process);
  }

  private count(process: Process, node: NodeName, to: string): void {
    const about = this.byName.get(node) as Process;
    if (this.buriedVictim && about.gone) {
      if (to === 'dead') this.buriedVictim.by.add(process.name);
      return;
    }
    if (this.buriedVictim) return;
    if (to === 'suspect') this.figures.suspected++;
    if (to !== 'dead') return;
    this.figures.buried++;
    if (!process.pauses && !about.pauses) this.figures.buriedBetweenHealthy++;
  }

  private pauseLater(process: Process): void {
    const { pauses } = this.options;
    if (pauses === undefined) return;
    const between = ([low, high]: [number, number]) => low + this.random.fraction() * (high - low);
    this.push(this.now + between(pauses.everyMs), true, () => {
      process.pausedUntil = this.now + between(pauses.lengthMs);
      this.push(process.pausedUntil, true, () => this.goOn(process));
      this.pauseLater(process);
    });
  }

  /** What waited runs: first the timers that came due, then what arrived. */
  private goOn(process: Process): void {
    const held = process.held.splice(0).sort((a, b) => Number(b.isTimer) - Number(a.isTimer) || a.at - b.at);
    for (const task of held) task.run();
  }

  private timer(process: Process, delayMs: number, run: () => void): void {
    this.push(this.now + delayMs, true, () => this.dispatch(process, true, run));
  }

  private message(to: Process, run: () => void): void {
    if (this.random.chance(this.options.loss ?? 0)) return;
    const [low, high] = latencyMs;
    this.push(this.now + low + this.random.fraction() * (high - low), false, () => this.dispatch(to, false, run));
  }

  private dispatch(process: Process, isTimer: boolean, run: () => void): void {
    if (process.gone) return;
    if (this.now < process.pausedUntil) process.held.push({ at: this.now, order: this.order++, isTimer, run });
    else run();
  }

  private push(at: number, isTimer: boolean, run: () => void): void {
    const task = { at, order: this.order++, isTimer, run };
    let i = this.tasks.push(task) - 1;
    for (let up = (i - 1) >> 1; i > 0 && before(task, this.tasks[up] as Task); i = up, up = (i - 1) >> 1) {
      this.tasks[i] = this.tasks[up] as Task;
      this.tasks[up] = task;
    }
  }

  private pop(): Task {
    const top = this.tasks[0] as Task;
    const last = this.tasks.pop() as Task;
    if (top === last) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child + 1 < this.tasks.length && before(this.tasks[child + 1] as Task, this.tasks[child] as Task)) child++;
      if (child >= this.tasks.length || !before(this.tasks[child] as Task, last)) break;
      this.tasks[i] = this.tasks[child] as Task;
      i = child;
    }
    this.tasks[i] = last;
    return top;
  }
}

function before(a: Task, b: Task): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
