// How a volume is let go (signals of a running mount): first request, second request, a mount that goes by itself.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { deferred } from '../../../src/core/base/lifecycle.ts';
import { LettingGo } from '../../../src/core/node/letting-go.ts';
import { Process, World } from '../../fakes/world.ts';

class FakeMount {
  readonly mountpoint = '/mnt';
  readonly asked: string[] = [];
  failure: InfinitError | undefined;
  stuck = false;
  private readonly gone = deferred();
  readonly ended = this.gone.promise;

  async unmount({ lazy = false }: { lazy?: boolean } = {}): Promise<void> {
    this.asked.push(lazy ? 'lazy' : 'clean');
    if (this.stuck && !lazy) await new Promise(() => {});
    if (this.failure !== undefined && !lazy) throw this.failure;
    if (!lazy) this.end();
  }

  end(): void {
    this.gone.resolve();
  }
}

function scene(isMounted = true) {
  const world = new World();
  const { clock } = new Process(world, 'p').runtime;
  const mount = new FakeMount();
  const told: string[] = [];
  const warn = (text: string) => void told.push(text);
  const stop = new AbortController();
  const force = new AbortController();
  const mounted = isMounted ? mount : undefined;
  const lettingGo = new LettingGo({ clock, mounted, name: 'alice/v', warn });
  lettingGo.when(stop.signal, force.signal);
  return { world, mount, told, stop, force, lettingGo };
}

const busy = new InfinitError('conflict', '/mnt is in use');

describe('letting go', () => {
  test('nothing happens before it is asked for; then it is unmounted cleanly', async () => {
    const { world, mount, told, stop, lettingGo } = scene();
    await world.run(10_000);
    assert.deepEqual([mount.asked, lettingGo.signal.aborted], [[], false]);
    stop.abort();
    await world.run(1);
    assert.deepEqual([mount.asked, told, lettingGo.signal.aborted], [['clean'], [], true]);
  });

  test('who asks to be answered is answered before the process ends, also when the kernel lets go first', async () => {
    const { world, mount, lettingGo } = scene();
    const answered = deferred();
    mount.unmount = async () => {
      mount.end();
      await answered.promise;
    };
    let isAnswered = false;
    void lettingGo.orRefuse().then(() => {
      isAnswered = true;
    });
    await world.run(1000);
    assert.deepEqual([isAnswered, lettingGo.signal.aborted], [false, false]);
    answered.resolve();
    await world.run(1);
    assert.deepEqual([isAnswered, lettingGo.signal.aborted], [true, false]);
    lettingGo.done();
    assert.equal(lettingGo.signal.aborted, true);
  });

  test('a refusal leaves all as it was, unless the mount has gone meanwhile', async () => {
    const { world, mount, lettingGo } = scene();
    mount.failure = busy;
    await assert.rejects(lettingGo.orRefuse(), busy);
    assert.equal(lettingGo.signal.aborted, false);
    mount.unmount = async () => {
      mount.end();
      await Promise.resolve().then(() => {});
      throw busy;
    };
    await assert.rejects(lettingGo.orRefuse(), busy);
    await world.run(1);
    assert.equal(lettingGo.signal.aborted, true);
  });

  test('files in use: said once, tried again until they are closed', async () => {
    const { world, mount, told, stop, lettingGo } = scene();
    mount.failure = busy;
    stop.abort();
    await world.run(3500);
    assert.equal(mount.asked.length, 4);
    assert.deepEqual(told, [
      'volume "alice/v" is in use: it is unmounted when its files are closed; once more to take it out of sight',
    ]);
    assert.equal(lettingGo.signal.aborted, false);
    mount.failure = undefined;
    await world.run(1000);
    assert.equal(lettingGo.signal.aborted, true);
  });

  test('asked for once more it is out of sight at once, and done when its files are closed', async () => {
    for (const stuck of [false, true]) {
      const { world, mount, stop, force, lettingGo } = scene();
      Object.assign(mount, { failure: busy, stuck });
      stop.abort();
      await world.run(500);
      assert.equal(lettingGo.signal.aborted, false);
      force.abort();
      await world.run(1);
      assert.deepEqual([mount.asked.at(-1), lettingGo.signal.aborted], ['lazy', false]);
      mount.end();
      await world.run(1);
      assert.equal(lettingGo.signal.aborted, true);
    }
  });

  test('what cannot be sent is said, and kept', async () => {
    const { world, mount, told, stop, lettingGo } = scene();
    mount.failure = new InfinitError('unavailable', 'no leader');
    stop.abort();
    await world.run(10_000);
    assert.deepEqual(told, ['volume "alice/v" cannot be unmounted: no leader; once more to take it out of sight']);
    assert.equal(lettingGo.signal.aborted, false);
  });

  test('a network that takes nothing is told of once, to who asked by a signal and who asked to be answered', async () => {
    for (const how of ['signal', 'question']) {
      const { world, mount, told, stop, lettingGo } = scene();
      mount.stuck = true;
      if (how === 'signal') stop.abort();
      else void lettingGo.orRefuse();
      await world.run(5000);
      assert.deepEqual(told, []);
      await world.run(60_000);
      assert.equal(told.length, 1);
      assert.match(
        told[0] ?? '',
        /^volume "alice\/v" waits for the network: not all that was written is there yet; (once more|it stops)/,
      );
    }
  });

  test('a mount that went by itself, or none at all', async () => {
    const { world, mount, lettingGo } = scene();
    mount.end();
    await world.run(1);
    assert.equal(lettingGo.signal.aborted, true);
    const headless = scene(false);
    headless.stop.abort();
    await headless.world.run(1);
    assert.equal(headless.lettingGo.signal.aborted, true);
  });

  test('a refusal leaves all as it was', async () => {
    const { world, mount, lettingGo } = scene();
    mount.failure = busy;
    await assert.rejects(lettingGo.orRefuse(), /in use/);
    await world.run(5000);
    assert.deepEqual([mount.asked, lettingGo.signal.aborted], [['clean'], false]);
  });
});
