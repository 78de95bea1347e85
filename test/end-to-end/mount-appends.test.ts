// Programs on two mounts append to one file at once, as loggers do: every line is there, whole, in the order of its writer.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually, Lab } from './device.ts';
import { cannotMount, createVolume, type Mount, type Mounts, mountOn } from './volume.ts';

const why = cannotMount();

/** Keeps the file open for appending: `name number length xxx end`, one write a line. */
const logger = `
const fs = require('fs');
const [path, name, count] = process.argv.slice(1);
const fd = fs.openSync(path, 'a');
for (let i = 0; i < Number(count); i++) {
  const length = i % 25 === 0 ? 9000 : 40 + (i * 37) % 300;
  const head = name + ' ' + i + ' ' + length + ' ';
  const line = Buffer.from(head + 'x'.repeat(length - head.length - 5) + ' end\\n');
  if (fs.writeSync(fd, line) !== line.length) throw new Error('a short write');
}
fs.fsyncSync(fd);
fs.closeSync(fd);
`;
const lines = 400;
const echoes = 40;

describe('appending from two mounts', { timeout: 600_000, skip: why ?? false }, () => {
  const lab = new Lab();
  let mounts: Mounts;
  let one: Mount;
  let two: Mount;
  before(async () => {
    mounts = await createVolume(lab);
    one = await mountOn(mounts.devices.one);
    two = await mountOn(mounts.devices.two);
  });
  after(() => lab.close());

  const ended = async (child: ChildProcess) => {
    let errors = '';
    child.stderr?.on('data', (part: Buffer) => (errors += part.toString()));
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 0, errors);
  };
  const log = (mount: Mount, name: string) =>
    ended(spawn(process.execPath, ['-e', logger, join(mount.mountpoint, 'log'), name, String(lines)]));
  const echo = (mount: Mount, name: string) => {
    const loop = `for i in $(seq 0 ${echoes - 1}); do echo "${name} $i 0 end" >> "$1"; done`;
    return ended(spawn('sh', ['-ec', loop, 'sh', join(mount.mountpoint, 'log')]));
  };

  test('each line lands whole, once', async () => {
    writeFileSync(join(one.mountpoint, 'log'), 'first\n');
    await eventually(
      'the file on the other mount',
      30_000,
      async () => readFileSync(join(two.mountpoint, 'log')).length > 0,
    );
    await Promise.all([log(one, 'a'), log(one, 'b'), log(two, 'c'), log(two, 'd'), echo(one, 'e'), echo(two, 'f')]);
    for (const { mountpoint } of [one, two]) {
      const [first, ...rest] = readFileSync(join(mountpoint, 'log'), 'utf8').split('\n');
      assert.equal(first, 'first');
      assert.equal(rest.pop(), '');
      const next = new Map<string, number>();
      for (const line of rest) {
        const [name = '', number, length] = line.split(' ');
        const what = JSON.stringify(line.slice(0, 60));
        assert.ok(/^[a-f] \d+ \d+ (x* )?end$/.test(line), what);
        assert.equal(Number(number), next.get(name) ?? 0, `${what}: out of order`);
        if (length !== '0') assert.equal(line.length + 1, Number(length), `${what}: not whole`);
        next.set(name, Number(number) + 1);
      }
      assert.deepEqual(
        ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => next.get(name)),
        [lines, lines, lines, lines, echoes, echoes],
      );
    }
  });

  test('the mount that appends reads back what it has, others in between', async () => {
    const paths = [one, two].map(({ mountpoint }) => join(mountpoint, 'turns'));
    writeFileSync(paths[0] as string, '');
    let expected = '';
    for (let i = 0; i < 20; i++) {
      const line = `line ${i}\n`;
      writeFileSync(paths[i % 2] as string, line, { flag: 'a' });
      expected += line;
      for (const path of paths) assert.equal(readFileSync(path, 'utf8'), expected, `after line ${i}`);
    }
  });
});
