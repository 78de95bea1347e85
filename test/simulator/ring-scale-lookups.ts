// Lookups over a large ring by the production code, under virtual time: dead nodes keep silent, callers hedge and time out.

import type { FindAnswer } from '../../src/core/overlay/chord/answers.ts';
import { type Location, Locations } from '../../src/core/overlay/chord/locations.ts';
import { lookup } from '../../src/core/overlay/chord/lookup.ts';
import { arcsMax, askTimeoutMs, hedgeDefaultMs } from '../../src/core/overlay/chord/owners.ts';
import { advance, type Entry, type Point } from '../../src/core/overlay/ring.ts';
import type { ScaleRing } from './ring-scale.ts';
import { EventQueue } from './runtime/event-queue.ts';
import type { SeededRandom } from './runtime/random.ts';

export interface Course {
  key: Point;
  location: Location | undefined;
  /** Of the location and, when it names too few nodes, of the arcs behind it. */
  entries: readonly Entry[];
  /** Questions asked; those of them that nobody answered. */
  asked: number;
  silent: number;
  /** Virtual. */
  ms: number;
}

export interface LookupFigures {
  /** Questions asked by lookups that ended with an answer, silent nodes included. */
  mean: number;
  p50: number;
  p99: number;
  max: number;
  /** Questions that were answered: the length of the path. */
  pathMean: number;
  silentMean: number;
  msMean: number;
  msP99: number;
  /** Share of lookups that named somebody, and of those that named the live owner. */
  answered: number;
  exact: number;
  /** Share of keys of which one of the first three holders lives, and of their lookups those that named such a one. */
  surviving: number;
  found: number;
}

const roundTripMsMin = 10;
const roundTripMsMax = 60;
const holders = 3;
type OnAnswer = (rank: number, key: Point, answer: FindAnswer | undefined) => void;

export class Lookups {
  private readonly ring: ScaleRing;
  private readonly random: SeededRandom;
  /** Told of every question, with its answer. */
  onAsk: OnAnswer = () => {};
  private now = 0;
  private queue = new EventQueue();
  private order = 0;

  constructor(ring: ScaleRing, label: string) {
    this.ring = ring;
    this.random = ring.random.fork(`lookups ${label}`);
  }

  key(): Point {
    return this.random.bytes(32).toString('hex');
  }

  liveRank(): number {
    for (;;) {
      const rank = this.random.below(this.ring.size);
      if (this.ring.up[rank]) return rank;
    }
  }

  /** As a storage node finds the owner of a key: by its own lists and fingers, then by asking. */
  async run(origin: number, key = this.key()): Promise<Course> {
    const { ring } = this;
    const own = ring.find(origin, key);
    if (own?.type === 'owners') return { key, location: own, entries: own.entries, asked: 0, silent: 0, ms: 0 };
    const began = this.now;
    let [asked, silent] = [0, 0];
    const parts = {
      clock: { after: (delayMs: number, task: () => void) => this.after(delayMs, task) },
      hedgeAfterMs: () => hedgeDefaultMs,
      slow: () => {},
      ask: (node: string) => {
        const rank = ring.rankOf(node);
        asked++;
        if (!ring.up[rank]) silent++;
        return this.answer(rank, key);
      },
    };
    const location = await this.settle(lookup(parts, key, own ?? { entries: [], behind: [] }));
    return { key, location, entries: location?.entries ?? [], asked, silent, ms: this.now - began };
  }

  /** As it finds all holders: further arcs are looked up when the first names too few nodes (`owners.ts`). */
  async runWide(origin: number): Promise<Course> {
    const first = await this.run(origin);
    const entries = [...first.entries];
    for (let arc = 1; arc < arcsMax && entries.length > 0 && entries.length < holders; arc++) {
      const next = await this.run(origin, advance((entries.at(-1) as Entry).point, 1n));
      const fresh = next.entries.filter(({ point }) => !entries.some((entry) => entry.point === point));
      if (fresh.length === 0) break;
      entries.push(...fresh);
    }
    return { ...first, entries };
  }

  async measure(count: number): Promise<LookupFigures> {
    const courses: Course[] = [];
    for (let i = 0; i < count; i++) courses.push(await this.runWide(this.liveRank()));
    return this.figures(courses);
  }

  /** The same addresses twice within half a minute, by one node with a location cache: questions asked the second time. */
  async measureCached(count: number): Promise<number> {
    const locations = new Locations();
    const origin = this.liveRank();
    const liveness = this.ring.livenessAt(origin);
    const keys = Array.from({ length: count }, () => this.key());
    let asked = 0;
    for (const round of [0, 1])
      for (const key of keys) {
        if (locations.get(key, 0, liveness)) continue;
        const course = await this.run(origin, key);
        if (course.location) locations.put(course.location, 0);
        if (round === 1) asked += course.asked;
      }
    return asked / count;
  }

  private figures(courses: readonly Course[]): LookupFigures {
    const answered = courses.filter(({ entries }) => entries.length > 0);
    const surviving = courses.filter(({ key }) => this.survivors(key).length > 0);
    const named = (each: Course, ranks: readonly number[]) =>
      each.entries.some(({ node }) => ranks.includes(this.ring.rankOf(node)));
    const mean = (values: readonly number[]) =>
      values.reduce((sum, each) => sum + each, 0) / Math.max(1, values.length);
    const asked = answered.map((each) => each.asked).sort((a, b) => a - b);
    const ms = courses.map((each) => each.ms).sort((a, b) => a - b);
    return {
      mean: mean(asked),
      p50: asked[Math.floor(asked.length * 0.5)] ?? 0,
      p99: asked[Math.floor(asked.length * 0.99)] ?? 0,
      max: asked.at(-1) ?? 0,
      pathMean: mean(answered.map((each) => each.asked - each.silent)),
      silentMean: mean(courses.map((each) => each.silent)),
      msMean: mean(ms),
      msP99: ms[Math.floor(ms.length * 0.99)] ?? 0,
      answered: answered.length / courses.length,
      exact: courses.filter((each) => named(each, [this.ring.ownerOf(each.key)])).length / courses.length,
      surviving: surviving.length / courses.length,
      found: surviving.filter((each) => named(each, this.survivors(each.key))).length / Math.max(1, surviving.length),
    };
  }

  /** Of the first holders of a key before anybody failed, those that live. */
  private survivors(key: Point): number[] {
    const first = this.ring.atOrAfter(key);
    const ranks = Array.from({ length: holders }, (_, k) => (first + k) % this.ring.size);
    return ranks.filter((rank) => this.ring.up[rank]);
  }

  private answer(rank: number, key: Point): Promise<FindAnswer | undefined> {
    const { ring } = this;
    return new Promise((resolve, reject) => {
      if (!ring.up[rank]) this.after(askTimeoutMs, () => reject(new Error('no answer')));
      else
        this.after(this.random.between(roundTripMsMin, roundTripMsMax), () => {
          const answer = ring.find(rank, key);
          this.onAsk(rank, key, answer);
          resolve(answer);
        });
    });
  }

  private after(delayMs: number, task: () => void): () => void {
    const at = this.now + delayMs;
    const event: { task: (() => void) | undefined } = { task };
    this.queue.push(Object.assign(event, { at, tie: 0, sequence: this.order++, label: '' }));
    return () => {
      event.task = undefined;
    };
  }

  /** Lets time pass until the promise is settled; undefined when it was rejected. */
  private async settle<T>(promise: Promise<T>): Promise<T | undefined> {
    let over = false;
    const value = promise
      .catch(() => undefined)
      .finally(() => {
        over = true;
      });
    for (;;) {
      await new Promise(setImmediate);
      if (over) break;
      let next = this.queue.pop();
      while (next && !next.task) next = this.queue.pop();
      if (!next) throw new Error('nothing is left to happen, and the lookup is not over');
      this.now = next.at;
      next.task?.();
    }
    this.queue = new EventQueue();
    return await value;
  }
}
