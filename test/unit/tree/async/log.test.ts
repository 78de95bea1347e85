// The log of a client's own journal: what was appended is there after the process ended, what was synced after the machine stopped;
// nothing on the disk is readable; damage is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isError } from '../../../../src/core/base/errors.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import { AsyncLog, type LogRecord } from '../../../../src/core/tree/async/log.ts';
import { MemoryDisk } from '../../../fakes/memory-disk.ts';
import { World } from '../../../fakes/world.ts';

const folder = '/state/journal';
const key = Buffer.alloc(32, 5);
const secret = 'the plans';
const begin = () => ({ next: 1, inode: 0, inodeEnd: 0, sent: 0 });

interface Reopened {
  log: AsyncLog;
  records: LogRecord[];
  torn: number[];
}

async function reopened(disk: MemoryDisk, world: World, key_ = key): Promise<Reopened> {
  const records: LogRecord[] = [];
  const torn: number[] = [];
  const runtime = { files: disk.files, random: { bytes: (count: number) => world.bytes(count) } } as never;
  const log = await AsyncLog.open(
    { runtime, folder, key: key_, begin, torn: (_, bytes) => torn.push(bytes) },
    (record) => records.push(record),
  );
  return { log, torn, records: records.filter(({ type }) => type !== 'begin') };
}

const operation = (number: number): LogRecord => ({
  ...{ type: 'operation', number, made: undefined, expected: Buffer.alloc(0) },
  operation: Buffer.from(`${secret} ${number}`),
  effects: [{ type: 'put', key: Buffer.from('i1'), value: Buffer.from(secret) }],
});
const numbers = (records: readonly LogRecord[]) =>
  records.map((record) => (record.type === 'operation' ? record.number : 0));

test('records come back in order, and are read at their places; the disk shows nothing of them', async () => {
  const [disk, world] = [new MemoryDisk(), new World()];
  const { log } = await reopened(disk, world);
  const cells = [Buffer.from(secret), Buffer.alloc(100, 1)];
  const places = [];
  for (const number of [1, 2, 3]) places.push(await log.append(operation(number)));
  const place = await log.append({ type: 'chunk', address: Buffer.alloc(32, 9), cells });
  const read = await log.read(place);
  assert.ok(read.type === 'chunk');
  assert.deepEqual(read.cells.map(String), cells.map(String));
  // The process ends without a word.
  const { records, log: again } = await reopened(disk, world);
  assert.deepEqual(numbers(records), [1, 2, 3, 0]);
  assert.deepEqual(await again.read(places[1] as never), operation(2));
  for (const { now } of disk.kept.values()) assert.equal(now.includes(secret), false);
  await again.append(operation(4));
  assert.deepEqual(numbers((await reopened(disk, world)).records), [1, 2, 3, 0, 4]);
});

test('after the machine stopped, all that was synced is there, and nothing that was torn', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const [disk, world] = [new MemoryDisk(), new World({ seed })];
    const { log } = await reopened(disk, world);
    const synced = 1 + world.below(6);
    const total = synced + world.below(6);
    for (let number = 1; number <= total; number++) {
      await log.append(operation(number));
      if (number === synced) await log.sync();
    }
    disk.crash(world.fraction());
    const { records, log: again } = await reopened(disk, world);
    const found = numbers(records);
    assert.ok(
      found.length >= synced && found.length <= total,
      `seed ${seed}: ${found.length} of ${synced} to ${total}`,
    );
    assert.deepEqual(
      found,
      Array.from({ length: found.length }, (_, i) => i + 1),
    );
    await again.append(operation(found.length + 1));
    assert.equal((await reopened(disk, world)).records.length, found.length + 1, `seed ${seed}`);
  }
});

test('files that are full are followed by others, dropped when asked; damage in an older one is corrupt', async () => {
  const [disk, world] = [new MemoryDisk(), new World()];
  const { log } = await reopened(disk, world);
  const cells = Array.from({ length: 16 }, () => Buffer.alloc(limits.cellBytesMax, 3));
  for (let i = 0; i < 20; i++) await log.append({ type: 'chunk', address: Buffer.alloc(32, i), cells });
  const names = () => [...disk.kept.keys()].sort();
  assert.equal(names().length, 3);
  const [first] = names();
  const damaged = disk.kept.get(first as string);
  assert.ok(damaged);
  const good = Buffer.from(damaged.now);
  damaged.now[5000] = 0x77 ^ (damaged.now[5000] as number);
  await assert.rejects(reopened(disk, world), (error) => isError(error, 'corrupt'));
  damaged.now = good;
  assert.equal((await reopened(disk, world)).records.length, 20);
  await log.drop(log.newest);
  assert.equal(names().length, 1);
  assert.ok((await reopened(disk, world)).records.length < 20);
});

test('another key opens nothing, and does not take the log for torn', async () => {
  const [disk, world] = [new MemoryDisk(), new World()];
  const { log } = await reopened(disk, world);
  await log.append(operation(1));
  await assert.rejects(reopened(disk, world, Buffer.alloc(32, 6)), (error) => isError(error, 'corrupt'));
  assert.equal((await reopened(disk, world)).records.length, 1);
});

test('a torn end is set aside and told; who only reads changes nothing', async () => {
  const [disk, world] = [new MemoryDisk(), new World()];
  const { log } = await reopened(disk, world);
  for (const number of [1, 2, 3]) await log.append(operation(number));
  const [path, file] = [...disk.kept][0] as [string, { now: Buffer }];
  file.now[file.now.length - 5] = (file.now[file.now.length - 5] as number) ^ 1;
  const damaged = Buffer.from(file.now);
  const read: LogRecord[] = [];
  const runtime = { files: disk.files, random: {} } as never;
  await AsyncLog.open({ runtime, folder, key, begin, readOnly: true }, (record) => read.push(record));
  assert.deepEqual(numbers(read), [0, 1, 2]);
  assert.deepEqual(disk.kept.get(path)?.now, damaged);
  assert.equal(disk.kept.size, 1);
  const { records, torn } = await reopened(disk, world);
  assert.deepEqual(numbers(records), [1, 2]);
  const aside = [...disk.kept].find(([name]) => name.endsWith('.torn'));
  assert.deepEqual(aside?.[1].now, damaged.subarray(damaged.length - (torn[0] ?? 0)));
  assert.deepEqual((await reopened(disk, world)).torn, []);
});
