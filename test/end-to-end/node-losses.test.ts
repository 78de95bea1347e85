// Five real nodes, each in a network of its own, of which two are lost for good, one after the other: others take over what they kept,
// so that three copies of everything are made again each time. At last a new device joins, which takes its share.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from './device.ts';
import { Fleet } from './fleet.ts';
import { KeyLoad } from './key-load.ts';
import { needsLan } from './lan.ts';
import { needs } from './needs.ts';
import { cannotMount } from './volume.ts';

const healMs = 180_000;
const evictionSeconds = 8;
const fileBytes = [60_000, 1_500_000];
const skip = cannotMount() ?? (needsLan().skip || needs('python3').skip);

describe('five nodes in networks of their own', { timeout: 900_000, skip }, () => {
  let fleet: Fleet;

  before(async () => {
    fleet = await Fleet.open({ nodes: 5, healMs, evictionDelay: `${evictionSeconds}s` });
    await fleet.healed(healMs);
  });
  after(() => fleet?.close());

  /** One is lost under load; resolves when what it kept is kept by three others. */
  const lose = async (index: number, report: (line: string) => void) => {
    const load = new KeyLoad(fleet.keys, fleet.keyStore);
    await fleet.files.begin(fleet.mountpoint, fileBytes);
    const progress = (count: number) => {
      const [keys, files] = [load.acknowledged + 20 * count, fleet.files.acknowledged + 3 * count];
      return eventually('more is acknowledged', healMs, async () => {
        return load.acknowledged >= keys && fleet.files.acknowledged >= files;
      });
    };
    await progress(3);
    const started = Date.now();
    await fleet.member(index).node.kill();
    fleet.empty(fleet.member(index));
    await progress(1);
    await load.end();
    await fleet.files.end();
    await fleet.healed(healMs, started + evictionSeconds * 1000);
    report(`healed ${Date.now() - started} ms after the loss, of which ${evictionSeconds} s are granted to come back`);
    await fleet.verify(fleet.member(1));
  };

  test('one is lost', (t) => lose(4, (line) => t.diagnostic(line)));
  test('another is lost', (t) => lose(0, (line) => t.diagnostic(line)));

  test('a new device takes its share', async (t) => {
    const joinedAt = Date.now();
    const member = await fleet.join();
    await fleet.healed(healMs, joinedAt);
    await fleet.verify(member);
    const { blocks, registers, missing } = await fleet.keptBy();
    t.diagnostic(`${blocks} blocks and ${registers} registers, ${missing.length} copies missing`);
    assert.ok(blocks > 10 && registers > 2);
    assert.deepEqual(missing, []);
  });
});
