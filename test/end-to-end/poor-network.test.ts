// Three real nodes and a client on lines that take 50 ms each way and lose packets: keys and files that were acknowledged are there, a
// node that is killed and restarted finds what it missed, and every copy is made.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from './device.ts';
import { Fleet } from './fleet.ts';
import { KeyLoad } from './key-load.ts';
import { needsLan } from './lan.ts';
import type { Line, LineQuality } from './line.ts';
import { needs } from './needs.ts';
import { cannotMount } from './volume.ts';

const healMs = 240_000;
const fileBytes = [1000, 60_000, 5000, 150_000];
const skip = cannotMount() ?? (needsLan().skip || needs('python3').skip);

describe('three nodes on poor lines', { timeout: 900_000, skip }, () => {
  let fleet: Fleet;
  let line: Line;

  before(async () => {
    fleet = await Fleet.open({ nodes: 3, healMs, line: { delayMs: 50, lossPercent: 1 } });
    assert.ok(fleet.lan.line);
    line = fleet.lan.line;
    await fleet.healed(healMs);
  });
  after(() => fleet?.close());

  /** Keys and files are written on lines of that quality, some before `fault`, some after; all of it is read again, and healed. */
  const under = async (quality: LineQuality, report: (text: string) => void, fault = async () => {}) => {
    await line.set(quality);
    const before = await line.counts();
    const load = new KeyLoad(fleet.keys, fleet.keyStore);
    await fleet.files.begin(fleet.mountpoint, fileBytes);
    const progress = async (keys: number, files: number) => {
      const [wantedKeys, wantedFiles] = [load.acknowledged + keys, fleet.files.acknowledged + files];
      await eventually(`${keys} keys and ${files} files more`, healMs, async () => {
        return load.acknowledged >= wantedKeys && fleet.files.acknowledged >= wantedFiles;
      });
    };
    const started = performance.now();
    await progress(60, 8);
    await fault();
    await progress(60, 8);
    await load.end();
    await fleet.files.end();
    const writtenMs = performance.now() - started;
    await fleet.healed(healMs);
    await fleet.verify(fleet.member(1));
    const now = await line.counts();
    const [passed, lost] = [now.passed - before.passed, now.lost - before.lost];
    const share = (100 * lost) / (passed + lost);
    report(
      `${quality.delayMs} ms, ${share.toFixed(1)} % of ${passed + lost} packets lost: ${load.acknowledged} keys in ` +
        `${writtenMs.toFixed(0)} ms; verified with ${fleet.files.acknowledged} files in all, ${fleet.files.failures} failures`,
    );
    assert.ok(Math.abs(share - quality.lossPercent) < 0.5, `${share} % lost`);
  };

  test('1 % of packets lost', (t) => under({ delayMs: 50, lossPercent: 1 }, (text) => t.diagnostic(text)));
  test('5 % of packets lost', (t) => under({ delayMs: 50, lossPercent: 5 }, (text) => t.diagnostic(text)));

  test('2 % of packets lost, and a node is killed and comes back', async (t) => {
    const kill = async () => {
      const member = fleet.member(0);
      await member.node.kill();
      await fleet.restart(member);
    };
    await under({ delayMs: 50, lossPercent: 2 }, (text) => t.diagnostic(text), kill);
  });

  test('in the end every disk keeps a copy of everything, whole', async (t) => {
    const { blocks, registers, missing } = await fleet.keptBy();
    t.diagnostic(`${blocks} blocks and ${registers} registers, ${missing.length} copies missing`);
    assert.ok(blocks > 5 && registers > 2);
    assert.deepEqual(missing, []);
  });
});
