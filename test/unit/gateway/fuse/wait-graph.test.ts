// Who waits for whom when two mounts change names (docs/protocols.md 4.6): the graph written down, each edge of it and no other seen
// on real code with kernels that hold locks, and what happens when somebody waits for whom he must not.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Deferred, deferred } from '../../../../src/core/base/lifecycle.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import type { Handler, Method, Peers } from '../../../../src/core/peer/peer.ts';
import type { Runtime } from '../../../../src/core/runtime/runtime.ts';
import { treeInvalidate } from '../../../../src/core/tree/messages.ts';
import { type Files, rootInode } from '../../../../src/core/volume/files/files.ts';
import type { FakePeers } from '../../../fakes/fake-peers.ts';
import { FilesWorld } from '../../../fakes/files-world.ts';
import { LockingKernel } from './locking-kernel.ts';

const parties = [
  'leader operation',
  'follower operation',
  'leader kernel notified',
  'follower kernel notified',
  'follower daemon',
] as const;
type Party = (typeof parties)[number];
type Waits = Readonly<Record<Party, readonly Party[]>>;

/** Whom each may wait for. A kernel that is notified waits for its own operations, which hold the locks it takes. */
const graph: Waits = {
  'follower operation': ['leader kernel notified', 'follower daemon'],
  'leader kernel notified': ['leader operation'],
  'leader operation': ['follower daemon'],
  'follower kernel notified': ['follower operation'],
  'follower daemon': [],
};

/** The parties of a ring of waits. */
function ringIn(waits: Waits): Party[] | undefined {
  const walk = (party: Party, path: readonly Party[]): Party[] | undefined => {
    const at = path.indexOf(party);
    if (at >= 0) return path.slice(at);
    for (const next of waits[party]) {
      const ring = walk(next, [...path, party]);
      if (ring !== undefined) return ring;
    }
    return undefined;
  };
  for (const party of parties) {
    const ring = walk(party, []);
    if (ring !== undefined) return ring;
  }
  return undefined;
}

interface Side {
  files: Files;
  kernel: LockingKernel;
}

interface Planted {
  /** The follower's daemon waits for its kernel before it says that it has forgotten. */
  daemonWaitsForKernel?: boolean;
  /** The leader's operations wait for what its kernel is being told. */
  operationsWaitForNotifications?: boolean;
}

async function mounted(seed: number, planted: Planted = {}) {
  const world = new FilesWorld({ seed, delayMs: [5, 15] });
  await world.found();
  const one = await world.open('leader');
  let follower: LockingKernel | undefined;
  const hears = (peers: FakePeers): Peers =>
    new Proxy<Peers>(peers, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (name !== 'serve') return typeof value === 'function' ? value.bind(target) : value;
        return <Q, R>(method: Method<Q, R>, handler: Handler<Q, R>) =>
          peers.serve<Q, R>(method, async (request, context) => {
            if ((method as unknown) === treeInvalidate) await follower?.whenFree(rootInode);
            return handler(request, context);
          });
      },
    });
  const two = await world.open('follower', planted.daemonWaitsForKernel ? { hears } : {});
  const side = ({ files, opened }: typeof one): Side => ({ files, kernel: new LockingKernel(files, opened.process) });
  const reader = side(await world.open('reader'));
  const leader = side(one);
  const other = side(two);
  follower = other.kernel;
  if (planted.operationsWaitForNotifications)
    waitForNotifications(one.files, leader.kernel, one.opened.process.runtime);
  const run = <T>(task: Promise<T>) => world.trees.world.until(task);
  const timed = async (task: Promise<unknown>) => {
    const before = world.trees.world.now;
    await run(task);
    return world.trees.world.now - before;
  };
  return { world, leader, follower: other, reader, run, timed, process: two.opened.process };
}

function waitForNotifications(files: Files, kernel: LockingKernel, { clock }: Pick<Runtime, 'clock'>): void {
  const { make, rename, removeDirectory } = files;
  const told = async () => {
    while (kernel.telling > 0) await clock.sleep(10);
  };
  files.make = (...asked) => make.apply(files, asked).finally(told);
  files.rename = (...asked) => rename.apply(files, asked).finally(told);
  files.removeDirectory = (...asked) => removeDirectory.apply(files, asked).finally(told);
}

/** Longer than any chain of waits that is no ring takes, shorter than what ends one: a lease, or the patience for a kernel. */
const slowMs = 1000;
assert.ok(slowMs < limits.readLeaseMs / 1.5 && slowMs < limits.fuseNotifyTimeoutMs);

/** Two kernels change names in one directory as fast as they can while a third looks; the longest any change took. */
async function together(seed: number, planted: Planted = {}): Promise<number> {
  const { world, leader, follower, reader, run } = await mounted(seed, planted);
  let longestMs = 0;
  const { world: time } = world.trees;
  const pause = (timeMs: number) => new Promise<void>((resolve) => time.at(time.below(timeMs), resolve));
  const program = async ({ kernel }: Side, name: string, pauseMs: number) => {
    for (let i = 0; i < 24; i++) {
      await pause(pauseMs);
      await kernel.lookup(rootInode, `${name}${i % 3}`);
      const began = time.now;
      if (i % 3 === 0) await kernel.makeDirectory(rootInode, `${name}0`);
      else if (i % 3 === 1) await kernel.rename(rootInode, `${name}0`, rootInode, `${name}1`);
      else await kernel.removeDirectory(rootInode, `${name}1`);
      longestMs = Math.max(longestMs, time.now - began);
    }
  };
  // In and out of a directory that the third looks at: such a change waits for it, and holds the lock of the other meanwhile.
  await run(leader.kernel.makeDirectory(rootInode, 'd'));
  const directory = await run(leader.kernel.lookup(rootInode, 'd'));
  const moves = async () => {
    await leader.kernel.makeDirectory(rootInode, 'm');
    for (let i = 0; i < 12; i++) {
      await pause(150);
      const [from, to] = i % 2 === 0 ? [rootInode, directory] : [directory, rootInode];
      const began = time.now;
      await leader.kernel.rename(from, 'm', to, 'm');
      longestMs = Math.max(longestMs, time.now - began);
    }
  };
  const looks = async () => {
    await reader.kernel.lookup(rootInode, 'd');
    for (let i = 0; i < 60; i++) {
      await pause(20);
      await reader.kernel.lookup(directory, 'm');
    }
  };
  await run(Promise.all([looks(), moves(), program(leader, 'a', 40), program(follower, 'b', 5)]));
  return longestMs;
}

describe('the wait graph', () => {
  test('has no ring; each edge that must not be makes one', () => {
    assert.equal(ringIn(graph), undefined);
    const planted: [Party, Party][] = [
      ['follower daemon', 'follower kernel notified'],
      ['leader operation', 'leader kernel notified'],
      ['follower daemon', 'follower operation'],
    ];
    for (const [from, to] of planted)
      assert.ok(ringIn({ ...graph, [from]: [...graph[from], to] })?.includes(from), `${from} -> ${to}`);
  });

  test('a kernel that never hears holds up those who change what it knows from elsewhere, nobody else', async () => {
    for (const blocked of ['leader', 'follower'] as const) {
      const sides = await mounted(1);
      const { leader, follower, timed } = sides;
      for (const { kernel } of [leader, follower]) {
        await timed(kernel.makeDirectory(rootInode, kernel === leader.kernel ? 'ours' : 'theirs'));
        for (const name of ['ours', 'theirs', 'none']) await timed(kernel.lookup(rootInode, name));
      }
      const stuck: Deferred<void> = deferred<void>();
      sides[blocked].kernel.stuck = stuck;
      const changed = {
        'leader operation': await timed(leader.kernel.makeDirectory(rootInode, 'a')),
        'follower operation': await timed(follower.kernel.makeDirectory(rootInode, 'none')),
      };
      for (const party of ['leader operation', 'follower operation'] as const) {
        const waits = graph[party].includes(`${blocked} kernel notified`);
        assert.equal(
          changed[party] > slowMs,
          waits,
          `${party} took ${changed[party]} ms, the kernel of the ${blocked} stuck`,
        );
      }
      assert.ok((await timed(follower.kernel.lookup(rootInode, 'ours'))) < slowMs);
      stuck.resolve();
    }
  });

  test('a daemon that does not hear holds up who changes what it was answered, for its lease', async () => {
    const { leader, follower, timed, process } = await mounted(2);
    await timed(follower.kernel.lookup(rootInode, 'a'));
    process.pause();
    const tookMs = await timed(leader.kernel.makeDirectory(rootInode, 'a'));
    assert.ok(tookMs > slowMs && tookMs <= limits.readLeaseMs + slowMs, `${tookMs} ms`);
    assert.ok((await timed(leader.kernel.makeDirectory(rootInode, 'b'))) < slowMs);
    process.resume();
  });

  test('both mounts change one directory at once, and nothing waits for long', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const longestMs = await together(seed);
      assert.ok(longestMs < slowMs, `seed ${seed}: ${longestMs} ms`);
    }
  });

  test('planted: a daemon that waits for its kernel before it says that it forgot', async () => {
    await catches({ daemonWaitsForKernel: true });
  });

  test('planted: operations of the leader that wait for what its kernel is told', async () => {
    await catches({ operationsWaitForNotifications: true });
  });
});

async function catches(planted: Planted): Promise<void> {
  let caught = 0;
  for (let seed = 1; seed <= 10 && caught === 0; seed++) {
    const longestMs = await together(seed, planted).catch(() => Number.POSITIVE_INFINITY);
    if (longestMs >= slowMs) caught++;
  }
  assert.ok(caught > 0, 'not noticed');
}
