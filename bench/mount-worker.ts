// One work in a directory, for `mount.ts`: a process of its own, so that it never waits for itself where a mount is served by a
// program of this project. Prints one line of JSON, an `Outcome`. Words: task, folder, JSON of `WorkerInput`.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Sizes } from './mount-works.ts';

export interface WorkerInput extends Sizes {
  tar: string;
  repositoryPath: string;
  direct: boolean;
  /** Compares what was unpacked or cloned with what it was made of, outside the time taken. */
  check: boolean;
}

/** In the unit of the work; the 99th percentile of single operations in milliseconds, where there are such. */
export interface Outcome {
  value: number;
  p99Ms?: number;
}

const statSecondsMin = 0.2;
const [task = '', folder = '', json = '{}'] = process.argv.slice(2);
const input = JSON.parse(json) as WorkerInput;
const data = join(folder, 'data');
const names = Array.from({ length: input.files ?? 0 }, (_, i) => `file-${i}`);

const tasks: Record<string, () => Outcome> = {
  takesDirect: () => ({ value: takesDirect() ? 1 : 0 }),
  write: () => {
    fs.rmSync(data, { force: true });
    return fio('write', ['--bs=128k', '--rw=write', '--end_fsync=1'], 'MiB/s');
  },
  read: () => fio('read', ['--bs=128k', '--rw=read'], 'MiB/s'),
  randomRead: () => fio('read', random('randread'), '/s'),
  randomWrite: () => fio('write', [...random('randwrite'), '--end_fsync=1'], '/s'),
  // Each write goes through the cache to the disks, as a database's does.
  randomWriteSync: () => fio('write', ['--bs=4k', '--rw=randwrite', '--fdatasync=1', ...forSeconds()], '/s'),
  create: () => createFiles('small', false),
  createSync: () => createFiles('small-durable', true),
  stat: () => rate(names, (name) => fs.statSync(join(folder, 'small', name))),
  statWarm,
  rename: () =>
    rate(names, (name) => fs.renameSync(join(folder, 'small', name), join(folder, 'small', `${name}-renamed`))),
  unlink: () => rate(names, (name) => fs.unlinkSync(join(folder, 'small', `${name}-renamed`))),
  unpack: () => {
    const seconds = timed(() => execFileSync('tar', ['-x', '-f', input.tar, '-C', folder]));
    if (input.check) execFileSync('tar', ['--compare', '-f', input.tar, '-C', folder]);
    return { value: seconds };
  },
  clone: cloneRepository,
  remove: () => ({ value: timed(() => execFileSync('rm', ['-rf', join(folder, 'tree')])) }),
};

function takesDirect(): boolean {
  const path = join(folder, 'direct');
  try {
    fs.closeSync(fs.openSync(path, fs.constants.O_DIRECT | fs.constants.O_RDWR | fs.constants.O_CREAT));
    return true;
  } catch {
    return false;
  } finally {
    fs.rmSync(path, { force: true });
  }
}

function forSeconds(): string[] {
  return ['--time_based', `--runtime=${input.seconds * 1000}ms`];
}

function random(kind: 'randread' | 'randwrite'): string[] {
  return ['--bs=4k', `--rw=${kind}`, `--direct=${input.direct ? 1 : 0}`, ...forSeconds()];
}

/** The time of syncs is part of the rate. */
function fio(direction: 'read' | 'write', words: readonly string[], unit: 'MiB/s' | '/s'): Outcome {
  const common = ['--name=work', `--filename=${data}`, `--size=${input.dataMiB}M`, '--ioengine=psync', '--thread'];
  const output = execFileSync('fio', [...common, ...words, '--fallocate=none', '--output-format=json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { jobs } = JSON.parse(output.slice(output.indexOf('{'))) as { jobs: FioJob[] };
  const job = jobs[0] as FioJob;
  const { bw_bytes, iops, clat_ns } = job[direction];
  if (unit === 'MiB/s') return { value: bw_bytes / 2 ** 20 };
  // Where every write is followed by a sync, that is what takes the time.
  const slow = (words.includes('--fdatasync=1') ? job.sync.lat_ns : clat_ns).percentile?.['99.000000'];
  return { value: iops, ...(slow === undefined ? {} : { p99Ms: slow / 1e6 }) };
}

interface FioTimes {
  percentile?: Record<string, number>;
}

interface FioDirection {
  bw_bytes: number;
  iops: number;
  clat_ns: FioTimes;
}

interface FioJob {
  read: FioDirection;
  write: FioDirection;
  sync: { lat_ns: FioTimes };
}

function createFiles(name: string, durable: boolean): Outcome {
  const place = join(folder, name);
  fs.mkdirSync(place);
  const contents = Array.from({ length: 64 }, () => randomBytes(4096));
  return rate(names, (file, i) => {
    const descriptor = fs.openSync(join(place, file), 'wx');
    fs.writeSync(descriptor, contents[i % contents.length] as Buffer);
    if (durable) fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
  });
}

function statWarm(): Outcome {
  const once = () => rate(names, (name) => fs.statSync(join(folder, 'small', name)));
  once();
  const passes = [once()];
  const many = ((passes[0] as Outcome).value * statSecondsMin) / names.length;
  while (passes.length < many) passes.push(once());
  const middle = passes.sort((a, b) => a.value - b.value)[Math.floor(passes.length / 2)];
  return middle as Outcome;
}

function cloneRepository(): Outcome {
  const to = join(folder, 'clone');
  Object.assign(process.env, { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' });
  const seconds = timed(() => execFileSync('git', ['clone', '--quiet', `file://${input.repositoryPath}`, to]));
  if (input.check) {
    execFileSync('git', ['-C', to, 'fsck', '--no-progress'], { stdio: ['ignore', 'ignore', 'inherit'] });
    const changed = execFileSync('git', ['-C', to, 'status', '--porcelain'], { encoding: 'utf8' });
    if (changed !== '') throw new Error(`the clone differs from the repository:\n${changed.slice(0, 500)}`);
  }
  return { value: seconds };
}

function rate(items: readonly string[], operation: (item: string, i: number) => unknown): Outcome {
  const times: number[] = [];
  const start = performance.now();
  for (const [i, item] of items.entries()) {
    const from = performance.now();
    operation(item, i);
    times.push(performance.now() - from);
  }
  const seconds = (performance.now() - start) / 1000;
  times.sort((a, b) => a - b);
  return { value: items.length / seconds, p99Ms: times[Math.floor(times.length * 0.99)] as number };
}

/** Seconds until it is done and on the disks. */
function timed(operation: () => unknown): number {
  const start = performance.now();
  operation();
  execFileSync('sync', ['--file-system', folder]);
  // A file system of a program hears of this one; of the one above only where the kernel passes it on.
  const descriptor = fs.openSync(folder, 'r');
  fs.fsyncSync(descriptor);
  fs.closeSync(descriptor);
  return (performance.now() - start) / 1000;
}

try {
  const outcome = tasks[task]?.();
  if (outcome === undefined) throw new Error(`no task ${task}`);
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
} catch (error) {
  // What a program said is part of the message.
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
