// Three real nodes and a client, each in a network of its own: through partitions of both kinds, kill -9 of everything at once, an emptied
// disk and a full one, restarts of every node, keys and files that were acknowledged are there, and every copy is made again.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually, sleep } from './device.ts';
import { Fleet } from './fleet.ts';
import { KeyLoad } from './key-load.ts';
import { type Host, needsLan } from './lan.ts';
import { needs } from './needs.ts';
import { cannotMount } from './volume.ts';

const healMs = 120_000;
const MiB = 1024 ** 2;
const skip = cannotMount() ?? (needsLan().skip || needs('python3').skip);

describe('three nodes in networks of their own', { timeout: 900_000, skip }, () => {
  let fleet: Fleet;
  let load: KeyLoad;

  /** Runs while keys and files are written, some before and some after; then all of it is read again and healed. */
  const under = async (name: string, faults: () => Promise<void>, report: (line: string) => void) => {
    const started = Date.now();
    load = new KeyLoad(fleet.keys, fleet.keyStore);
    await fleet.files.begin(fleet.mountpoint);
    await progress(20, 4);
    await faults();
    const faultsMs = Date.now() - started;
    await progress(20, 4);
    await load.end();
    await fleet.files.end();
    await fleet.healed(healMs);
    const healedMs = Date.now() - started;
    await fleet.verify(fleet.member(1));
    report(
      `${name}: ${fleet.keys.size} keys and ${fleet.files.acknowledged} files so far, ${fleet.files.failures} failures; ` +
        `faults for ${faultsMs} ms, healed after ${healedMs} ms, verified after ${Date.now() - started} ms`,
    );
  };

  const hosts = () => fleet.members.map(({ host }) => host) as [Host, Host, Host];

  /** So many keys and files more are acknowledged. */
  const progress = async (keys: number, files: number) => {
    const [wantedKeys, wantedFiles] = [load.acknowledged + keys, fleet.files.acknowledged + files];
    await eventually(`${keys} keys and ${files} files more`, healMs, async () => {
      return load.acknowledged >= wantedKeys && fleet.files.acknowledged >= wantedFiles;
    });
  };

  before(async () => {
    // Room for all that fast machines write until the end: a node that is nearly full takes no copies, and is right to.
    fleet = await Fleet.open({ nodes: 3, healMs, smallDiskBytes: 1024 * MiB });
  });
  after(() => fleet?.close());

  test('the network is whole', () => fleet.healed(healMs));

  test('a node that nobody hears is done without, and comes back', async (t) => {
    const faults = async () => {
      const [one, two, three] = hosts();
      await fleet.lan.part([one], [two, three, fleet.clientHost]);
      await progress(50, 10);
      await fleet.lan.heal();
    };
    await under('cut off', faults, (line) => t.diagnostic(line));
  });

  test('what is lost in one direction only does no harm either', async (t) => {
    const faults = async () => {
      const [one, two, three] = hosts();
      await fleet.lan.deafen(two, one);
      await progress(50, 10);
      await fleet.lan.deafen(fleet.clientHost, three);
      await progress(20, 4);
      await fleet.lan.heal();
    };
    await under('one way', faults, (line) => t.diagnostic(line));
  });

  test('a client that reaches one node alone is acknowledged nothing, and goes on later', async (t) => {
    const faults = async () => {
      const [one, two, three] = hosts();
      await fleet.lan.part([one, fleet.clientHost], [two, three]);
      // Answers on the way arrived.
      await sleep(2000);
      const before = [load.acknowledged, fleet.files.acknowledged];
      await sleep(6000);
      assert.deepEqual([load.acknowledged, fleet.files.acknowledged], before);
      await fleet.lan.heal();
    };
    await under('minority', faults, (line) => t.diagnostic(line));
  });

  test('a node killed and emptied is filled again', async (t) => {
    const member = fleet.member(0);
    const faults = async () => {
      await member.node.kill();
      await progress(20, 4);
      fleet.empty(member);
      await fleet.restart(member);
    };
    await under('emptied', faults, (line) => t.diagnostic(line));
    // The others could not answer for it: one of two is no majority.
    await fleet.member(2).node.kill();
    await fleet.verify(member);
    await fleet.restart(fleet.member(2));
  });

  test('everything killed at once comes back with everything', async (t) => {
    const faults = async () => {
      await fleet.killAll();
      await load.abandon();
      await fleet.files.end();
      for (const member of fleet.members) await fleet.restart(member);
      await fleet.enter();
      load = new KeyLoad(fleet.keys, fleet.keyStore);
      await fleet.files.begin(fleet.mountpoint);
    };
    await under('all killed', faults, (line) => t.diagnostic(line));
  });

  test('a full disk takes no more, serves what it has, and is filled when there is room', async (t) => {
    const faults = async () => {
      await fleet.fillDisk();
      await progress(200, 40);
      await fleet.emptyDisk();
    };
    await under('full disk', faults, (line) => t.diagnostic(line));
  });

  test('all nodes are restarted one after another, and nobody notices', async (t) => {
    const faults = async () => {
      for (const member of fleet.members) {
        assert.equal(await member.node.stop(), 0, member.node.output);
        await progress(20, 4);
        const restartedAt = Date.now();
        await fleet.restart(member);
        // Who comes compares what it keeps with what others keep, and gets and gives what is missing.
        await fleet.healed(healMs, restartedAt, [member]);
      }
    };
    await under('rolling restart', faults, (line) => t.diagnostic(line));
  });

  test('in the end every disk keeps a copy of everything, whole', async (t) => {
    const { blocks, registers, missing } = await fleet.keptBy();
    t.diagnostic(`${blocks} blocks and ${registers} registers, ${missing.length} copies missing`);
    assert.ok(blocks > 20 && registers > 2);
    assert.deepEqual(missing, []);
  });
});
