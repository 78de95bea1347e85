// Locks through takeovers (docs/protocols.md 4.10): the leader is paused, cut off, or its clock runs wrong, while others hold locks and
// wait for them. No two clients ever believe in locks that exclude each other, and in the end nobody waits for ever.
// INFINIT_SEED=n replays another seed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isError } from '../../src/core/base/errors.ts';
import { limits } from '../../src/core/base/limits.ts';
import { type LockMode, type LockPlace, lockEnd } from '../../src/core/tree/tree.ts';
import { add, get, type Opened, TreeWorld } from '../fakes/fake-tree.ts';

const given = process.env.INFINIT_SEED;
const seeds = given === undefined ? [1, 2, 3, 4] : [Number(given)];
const all = { from: 0n, to: lockEnd };
const resources = [7, 8];
/** What a lease lasts and a takeover takes, with time to spare. */
const enoughMs = 3 * limits.lockLeaseMs + 60_000;

/** What becomes of the leader, again and again. */
const schedules = {
  'paused for longer than its grants': { pauseMs: 7_000 },
  'paused for longer than a lease of locks': { pauseMs: limits.lockLeaseMs + 8_000 },
  'cut off from one client': { cut: 'one', cutMs: 12_000 },
  'cut off from all clients': { cut: 'all', cutMs: limits.lockLeaseMs + 8_000 },
  'cut off from the members of its journal': { cut: 'members', cutMs: 15_000 },
  'killed, another one in its place': { crash: true },
} satisfies Record<string, Harm>;

interface Harm {
  pauseMs?: number;
  cut?: 'one' | 'all' | 'members';
  cutMs?: number;
  crash?: boolean;
}

interface Believed {
  client: Opened;
  mode: LockMode;
}

class Course {
  readonly w: TreeWorld;
  readonly clients: Opened[] = [];
  granted = 0;
  lost = 0;
  private readonly believed = new Map<number, Set<Believed>>(resources.map((resource) => [resource, new Set()]));
  private readonly waiting = new Map<object, string>();
  private readonly skew: number;
  private ends = false;
  private names = 0;

  constructor(seed: number, skew: number) {
    this.w = new TreeWorld({ seed, delayMs: [1, 30] });
    this.skew = skew;
  }

  async open(): Promise<void> {
    const client = await this.w.open(`c${this.names++}`);
    client.process.clockRate = 1 + this.skew * (this.names % 2 === 0 ? 1 : -1);
    this.clients.push(client);
    for (const owner of [1, 2]) void this.work(client, owner).catch((error: unknown) => this.w.world.fail(error));
  }

  private async work(client: Opened, owner: number): Promise<void> {
    const { clock, random } = client.process.runtime;
    while (!this.ends) {
      const resource = resources[random.below(2)] as number;
      const mode: LockMode = random.below(3) === 0 ? 'shared' : 'exclusive';
      const place: LockPlace = { space: random.below(2) === 0 ? 'whole' : 'range', resource, owner: BigInt(owner) };
      const call = {};
      this.waiting.set(call, `${client.process.name} for ${resource}`);
      try {
        await client.tree.locks.lock(place, { ...all, mode, pid: owner }, { wait: true });
        this.waiting.delete(call);
        this.granted++;
        await this.hold(client, place, mode);
      } catch (error) {
        this.waiting.delete(call);
        assert.ok(isError(error, 'lost', 'unavailable', 'conflict'), String(error));
      } finally {
        await client.tree.locks.unlock(place, all).catch(() => {});
      }
      await clock.sleep(random.below(400));
    }
  }

  /** Acts under the lock now and then, as long as it is believed in. */
  private async hold(client: Opened, { space, resource }: LockPlace, mode: LockMode): Promise<void> {
    const { clock, random } = client.process.runtime;
    const key = space === 'whole' ? resource + 100 : resource;
    const holders = this.believed.get(key) ?? new Set();
    this.believed.set(key, holders);
    const mine = { client, mode };
    holders.add(mine);
    try {
      for (let acts = random.below(8) === 0 ? 80 : random.below(10); acts >= 0; acts--) {
        // What relies on the lock is asked of the leader: one that was deposed while it was paused hears of it.
        await get(client.tree, 'x').catch((error: unknown) => assert.ok(isError(error, 'unavailable'), String(error)));
        if (client.tree.locks.isLost(resource)) {
          this.lost++;
          return;
        }
        for (const other of holders) this.exclude(mine, other, resource);
        await clock.sleep(random.below(150));
      }
    } finally {
      holders.delete(mine);
    }
  }

  private exclude(mine: Believed, other: Believed, resource: number): void {
    // One that does not run does nothing either.
    if (other === mine || other.client.process.state !== 'up') return;
    if (mine.mode === 'shared' && other.mode === 'shared') return;
    if (other.client.tree.locks.isLost(resource)) return;
    const names = [mine, other].map(({ client, mode }) => `${client.process.name} (${mode})`).join(' and ');
    throw new Error(`${names} both believe to hold ${resource} at ${Math.round(this.w.world.now)} ms`);
  }

  /** Once to whoever leads now, if anybody does. */
  async harm({ pauseMs = 0, cut, cutMs = 0, crash = false }: Harm): Promise<void> {
    const { world, cluster } = this.w;
    const leader = this.clients.find(({ tree }) => tree.status().role === 'leader');
    if (leader === undefined) return;
    const { process } = leader;
    const others = this.clients.filter((client) => client !== leader).map((client) => client.process.name);
    if (crash) {
      process.crash();
      this.clients.splice(this.clients.indexOf(leader), 1);
      await this.open();
    }
    if (pauseMs > 0) process.pause();
    const members = cluster.storages.map(({ name }) => name);
    const from =
      cut === 'one' ? others.slice(0, 1) : cut === 'all' ? others : cut === 'members' ? members.slice(1) : [];
    for (const name of from) world.cut(process.name, name);
    await world.run(pauseMs + cutMs);
    process.resume();
    world.heal();
  }

  /** Nobody begins anew: who waits gets it, or an answer. */
  async end(): Promise<void> {
    this.ends = true;
    for (const { process } of this.clients) process.resume();
    const alive = new Set(this.clients.map(({ process }) => process.name));
    await this.w.world.run(enoughMs);
    const left = [...this.waiting.values()].filter((text) => alive.has(text.split(' ')[0] as string));
    assert.deepEqual(left, [], 'they wait for ever');
  }
}

for (const [what, harm] of Object.entries(schedules))
  for (const skew of [0, 0.009])
    test(`the leader is ${what}${skew > 0 ? ', clocks run wrong' : ''}`, { timeout: 300_000 }, async () => {
      for (const seed of seeds) {
        const course = new Course(seed, skew);
        await course.w.found();
        for (let i = 0; i < 3; i++) await course.open();
        await course.w.world.until(add((course.clients[0] as Opened).tree, 'x'));
        for (let round = 0; round < 4; round++) {
          await course.w.world.run(2_000 + course.w.world.below(6_000));
          await course.harm(harm);
        }
        await course.w.world.run(10_000);
        await course.end();
        assert.ok(course.granted > 15, `seed ${seed}: only ${course.granted} locks were granted`);
      }
    });
