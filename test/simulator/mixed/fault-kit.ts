// What faults of a mixed simulation share: chance, the cast, what lasts and when it ends, and which nodes may still be struck.

import type { SeededRandom } from '../runtime/random.ts';
import type { World } from '../runtime/world.ts';
import type { Watch } from '../watch/watch.ts';
import type { Actor, Cast } from './cast.ts';
import type { Course } from './course.ts';

export interface FaultsOptions {
  world: World;
  cast: Cast;
  watch: Watch;
  random: SeededRandom;
  course: Course;
  /** Kinds there are; all when empty. */
  only: readonly string[];
  /** Hosts that lead a tree now. */
  leads: (actor: Actor) => boolean;
}

/** Makes something happen, if it is possible now; whether it was. */
export type Fault = () => boolean;

export class FaultKit {
  readonly world: World;
  readonly cast: Cast;
  readonly watch: Watch;
  readonly random: SeededRandom;
  private readonly ends = new Map<number, () => void>();
  private readonly hindered = new Set<Actor>();
  private next = 0;

  constructor({ world, cast, watch, random }: FaultsOptions) {
    this.world = world;
    this.cast = cast;
    this.watch = watch;
    this.random = random;
  }

  /** Ends whatever lasts. */
  calm(): void {
    // The end of one may be the beginning of another's.
    while (this.ends.size > 0) for (const end of [...this.ends.values()]) end();
  }

  after(timeMs: number, end: () => void): void {
    const number = this.next++;
    const once = () => {
      if (this.ends.delete(number)) end();
    };
    this.ends.set(number, once);
    this.world.schedule(timeMs * 1000, 'fault ends', once);
  }

  reach(name: string): void {
    const { watch, world } = this;
    watch.coverage.reach(`fault/${name}`);
    world.note(`fault ${name}\n`);
    world.log?.({ atMs: world.nowMs, host: '-', level: 'info', component: 'fault', message: name, facts: undefined });
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[this.random.below(list.length)];
  }

  between(low: number, high: number): number {
    return low + this.random.below(high - low);
  }

  /** A node that may be away: the others are still a majority. */
  spare(): Actor | undefined {
    const { storage } = this.cast;
    const away = storage.length - this.usable.length;
    if (away >= Math.floor((storage.length - 1) / 2)) return undefined;
    return this.pick(this.usable);
  }

  get usable(): Actor[] {
    return this.cast.running.filter((actor) => !this.hindered.has(actor));
  }

  /** Until the time has come, or the caller says that it is over. */
  hinder(actor: Actor, timeMs: number, end: () => void = () => {}): void {
    this.hindered.add(actor);
    this.after(timeMs, () => {
      this.hindered.delete(actor);
      end();
    });
  }
}
