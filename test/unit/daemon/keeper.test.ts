import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { deferred } from '../../../src/core/base/lifecycle.ts';
import type { Launcher, ProcessId, Unit, UnitProcess } from '../../../src/core/daemon/daemon.ts';
import { backOffMs, Keeper } from '../../../src/core/daemon/keeper.ts';
import { Process, World } from '../../fakes/world.ts';

const unit: Unit = { role: 'volume', user: 'alice', name: 'alice/v', words: ['volume', 'mount', 'v'], directory: '/' };

class FakeProcess implements UnitProcess {
  readonly id: ProcessId;
  readonly asked: string[] = [];
  inUse = false;
  private readonly served = deferred<unknown>();
  private readonly gone = deferred<string>();
  readonly serving = this.served.promise;
  readonly ended = this.gone.promise;

  constructor(pid: number) {
    this.id = { pid, began: `${pid}` };
    this.serving.catch(() => {});
  }

  serve(): void {
    this.served.resolve({ pid: this.id.pid });
  }

  end(how = 'SIGKILL'): void {
    this.served.reject(new InfinitError('unavailable', `ended with ${how}`));
    this.gone.resolve(how);
  }

  async stop(): Promise<void> {
    this.asked.push('stop');
    if (this.inUse) throw new InfinitError('conflict', 'in use');
    this.end('code 0');
    await this.ended;
  }

  press(): void {
    this.asked.push('press');
  }
}

class FakeLauncher implements Launcher {
  readonly launched: { at: number; process: FakeProcess }[] = [];
  there: FakeProcess | undefined;
  remembered: (ProcessId | undefined)[] = [];
  refuse: InfinitError | undefined;
  private readonly now: () => number;

  constructor(now: () => number) {
    this.now = now;
  }

  async launch(): Promise<UnitProcess> {
    if (this.refuse) throw this.refuse;
    const process = new FakeProcess(100 + this.launched.length);
    this.launched.push({ at: this.now(), process });
    return process;
  }

  async find(_unit: Unit, remembered: ProcessId | undefined): Promise<UnitProcess | undefined> {
    this.remembered.push(remembered);
    return this.there;
  }

  get last(): FakeProcess {
    return this.launched.at(-1)?.process as FakeProcess;
  }
}

function scene(remembered?: ProcessId) {
  const world = new World();
  const { clock, log } = new Process(world, 'daemon').runtime;
  const launcher = new FakeLauncher(() => clock.monotonic());
  const book: (ProcessId | undefined)[] = [];
  const remember = async (id: ProcessId | undefined) => void book.push(id);
  const keeper = new Keeper(unit, remembered, { clock, log, launcher, remember });
  const outcomes: unknown[] = [];
  const start = () =>
    void keeper.start().then(
      (facts) => outcomes.push(facts),
      (error: InfinitError) => outcomes.push(error.message),
    );
  return { world, clock, launcher, book, keeper, outcomes, start };
}

describe('keeping a process', () => {
  test('what it tells once it serves is told, and who it is is remembered first', async () => {
    const { world, launcher, book, keeper, outcomes, start } = scene();
    start();
    await world.run(10);
    assert.deepEqual([keeper.status().state, book, outcomes], ['starting', [{ pid: 100, began: '100' }], []]);
    launcher.last.serve();
    await world.run(10);
    assert.deepEqual([keeper.status().state, outcomes], ['running', [{ pid: 100 }]]);
    assert.equal(keeper.status().adopted, false);
  });

  test('one that ends is started again, at once when it served for long', async () => {
    const { world, launcher, keeper, start } = scene();
    start();
    await world.run(1);
    launcher.last.end();
    await world.run(1100);
    launcher.last.end();
    await world.run(2100);
    assert.deepEqual([launcher.launched.length, keeper.status().restarts], [3, 2]);
    launcher.last.serve();
    await world.run(61_000);
    launcher.last.end();
    await world.run(1);
    assert.equal(launcher.launched.length, 4);
  });

  test('the pause grows: 1, 2, 4, 8, 16, then 20 seconds', async () => {
    const { world, launcher, start } = scene();
    start();
    await world.run(1);
    for (const pauseMs of [...backOffMs, 20_000]) {
      const count = launcher.launched.length;
      launcher.last.end();
      await world.run(pauseMs - 10);
      assert.equal(launcher.launched.length, count, `not before ${pauseMs} ms`);
      await world.run(20);
      assert.equal(launcher.launched.length, count + 1, `after ${pauseMs} ms`);
    }
  });

  test('the first failure is told; it is tried again all the same, and says why meanwhile', async () => {
    const { world, launcher, keeper, outcomes, start } = scene();
    launcher.refuse = new InfinitError('unavailable', 'no such program');
    start();
    await world.run(100);
    assert.deepEqual(outcomes, ['no such program']);
    const { state, last_error, retry_ms } = keeper.status();
    assert.deepEqual([state, last_error, retry_ms], ['waiting', 'no such program', 900]);
    launcher.refuse = undefined;
    await world.run(1000);
    launcher.last.serve();
    await world.run(10);
    assert.deepEqual([keeper.status().state, keeper.status().last_error], ['running', undefined]);
  });

  test('a process that is there is taken up, not started anew; when it ends another is started', async () => {
    const { world, launcher, keeper, start } = scene({ pid: 7, began: 'then' });
    launcher.there = new FakeProcess(7);
    launcher.there.serve();
    start();
    await world.run(10);
    assert.deepEqual(launcher.remembered, [{ pid: 7, began: 'then' }]);
    assert.deepEqual([launcher.launched.length, keeper.status().adopted, keeper.status().pid], [0, true, 7]);
    const there = launcher.there;
    launcher.there = undefined;
    there.end();
    await world.run(1100);
    assert.deepEqual([launcher.launched.length, launcher.remembered.at(-1)], [1, undefined]);
  });
});

describe('stopping', () => {
  test('it is not started again', async () => {
    const { world, launcher, keeper, start } = scene();
    start();
    await world.run(1);
    launcher.last.serve();
    await world.run(1);
    await keeper.stop();
    await world.run(100_000);
    assert.deepEqual([launcher.launched.length, keeper.status().state], [1, 'stopped']);
  });

  test('while it is in use that is refused, and it is kept as before', async () => {
    const { world, launcher, keeper, start } = scene();
    start();
    await world.run(1);
    launcher.last.serve();
    await world.run(1);
    launcher.last.inUse = true;
    await assert.rejects(keeper.stop(), /in use/);
    assert.equal(keeper.status().state, 'running');
    launcher.last.end();
    await world.run(1100);
    assert.equal(launcher.launched.length, 2);
  });

  test('a pause is cut short', async () => {
    const { world, launcher, keeper, outcomes, start } = scene();
    launcher.refuse = new InfinitError('unavailable', 'no');
    start();
    await world.run(10);
    await keeper.stop();
    assert.deepEqual([keeper.status().state, outcomes], ['stopped', ['no']]);
  });

  test('asked while it begins, what is found is stopped too', async () => {
    const { world, launcher, keeper, start } = scene();
    launcher.there = new FakeProcess(9);
    start();
    await keeper.stop();
    await world.run(10);
    assert.deepEqual(launcher.there.asked, ['stop']);
    assert.equal(launcher.launched.length, 0);
  });

  test('whoever uses it: first asked, then pressed, pressed again, then left', async () => {
    const { world, launcher, keeper, start } = scene();
    start();
    await world.run(1);
    const process = launcher.last;
    process.serve();
    await world.run(1);
    process.inUse = true;
    const left = keeper.leave(60_000);
    await world.run(10_000);
    assert.deepEqual(process.asked, ['stop', 'press']);
    await world.run(40_000);
    assert.deepEqual(process.asked, ['stop', 'press', 'press']);
    await world.run(20_000);
    assert.equal(await left, false);
  });

  test('let go, it is neither stopped nor started again', async () => {
    const { world, launcher, keeper, book, start } = scene();
    start();
    await world.run(1);
    launcher.last.serve();
    await world.run(1);
    keeper.letGo();
    launcher.last.end();
    await world.run(100_000);
    assert.deepEqual([launcher.last.asked, launcher.launched.length, book.length], [[], 1, 1]);
  });
});
