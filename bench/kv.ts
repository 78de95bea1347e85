// Keys against etcd: `node --import tsx bench/kv.ts [--quick] [--rounds N] [--seconds N] [--wait N] [--profile DIR] [--no-etcd]
// [--only CELL]`, CELL a pattern of names of rows.
// Every put is durable on a majority, every get linearizable. Ours goes through the door of a client process, to three nodes;
// etcd by one gRPC session to its leader, three members. All of it on this machine, by turns within each round.

import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { encodeImmutable, treeTagBytes } from '../src/core/block/immutable.ts';
import type { KeyStore } from '../src/core/volume/keys.ts';
import { type Cluster, cpuSeconds, residentMiB, startCluster } from './cluster.ts';
import { type Etcd, etcdInstalled, startEtcd } from './etcd.ts';
import { measure, median, quiet, type Sample, sleep, spread } from './measure.ts';

const MiB = 1024 * 1024;
const keysUsed = 2000;
const warmUpSeconds = 1.5;

interface Contestant {
  name: string;
  put(key: string, value: Buffer): Promise<unknown>;
  get(key: string): Promise<unknown>;
  pids: readonly number[];
}

interface Cell {
  name: string;
  callers: number;
  run(one: Contestant, i: number): Promise<unknown>;
}

const values = Array.from({ length: 64 }, () => randomBytes(1024));
const put = (one: Contestant, i: number) => one.put(`key-${i % keysUsed}`, values[i % values.length] as Buffer);
const get = (one: Contestant, i: number) => one.get(`key-${(i * 7919) % keysUsed}`);
const cells: readonly Cell[] = [
  { name: 'put, 1 caller', callers: 1, run: put },
  { name: 'put, 32 callers', callers: 32, run: put },
  { name: 'get, 1 caller', callers: 1, run: get },
  { name: 'get, 32 callers', callers: 32, run: get },
];

interface Options {
  rounds: number;
  seconds: number;
  waitSeconds: number;
  withEtcd: boolean;
  profile: string | undefined;
  cells: readonly Cell[];
  large: boolean;
}

function optionsOf(words: string[]): Options {
  const { values: flags } = parseArgs({
    args: words,
    options: {
      quick: { type: 'boolean' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      wait: { type: 'string' },
      profile: { type: 'string' },
      'no-etcd': { type: 'boolean' },
      only: { type: 'string' },
    },
  });
  return {
    rounds: Number(flags.rounds ?? (flags.quick ? 1 : 5)),
    seconds: Number(flags.seconds ?? (flags.quick ? 0.5 : 2)),
    waitSeconds: Number(flags.wait ?? (flags.quick ? 0 : 120)),
    withEtcd: !flags['no-etcd'] && etcdInstalled(),
    profile: flags.profile,
    cells: cells.filter(({ name }) => new RegExp(flags.only ?? '').test(name)),
    large: flags.only === undefined,
  };
}

function ours({ keys, pids }: Cluster): Contestant {
  return {
    name: 'infinit',
    put: (key, value) => keys.put(Buffer.from(key), value),
    get: (key) => keys.get(Buffer.from(key)),
    pids,
  };
}

function theirs({ put, get, pids }: Etcd): Contestant {
  return { name: 'etcd', put, get, pids };
}

interface Results {
  samples: Map<string, Sample[]>;
  memory: Map<string, number>;
  cores: Map<string, number[]>;
  loads: number[];
}

async function compare(contestants: readonly Contestant[], warm: () => void, options: Options): Promise<Results> {
  const results: Results = { samples: new Map(), memory: new Map(), cores: new Map(), loads: [] };
  for (const one of contestants) {
    for (const callers of [32, 1]) await measure(callers, warmUpSeconds, (i) => put(one, i));
    for (let i = 0; i < keysUsed; i += 50) await Promise.all(Array.from({ length: 50 }, (_, n) => put(one, i + n)));
    await measure(32, warmUpSeconds, (i) => get(one, i));
  }
  warm();
  for (let round = 0; round < options.rounds; round++) {
    results.loads.push(await quiet(options.waitSeconds));
    // Who comes first changes by round.
    const order = round % 2 === 0 ? contestants : contestants.toReversed();
    for (const { name, callers, run } of options.cells) {
      for (const one of order) {
        await sleep(200);
        const before = cpuSeconds(one.pids);
        const sample = await measure(callers, options.seconds, (i) => run(one, i));
        const cores = (cpuSeconds(one.pids) - before) / options.seconds;
        const place = `${one.name} ${name}`;
        results.samples.set(place, [...(results.samples.get(place) ?? []), sample]);
        results.cores.set(place, [...(results.cores.get(place) ?? []), cores]);
      }
    }
  }
  for (const one of contestants) results.memory.set(one.name, residentMiB(one.pids));
  return results;
}

function printComparison(contestants: readonly Contestant[], results: Results, options: Options): void {
  const { samples, memory, cores, loads } = results;
  const names = contestants.map(({ name }) => name);
  const ratios = names.length === 2 ? ['ratio', 'ratio of p99'] : [];
  const rate = (name: string) => [`${name} /s`, 'p50 ms', 'p99 ms', 'cores'];
  printRow(['', ...names.flatMap(rate), ...ratios]);
  printRow(['---', ...[...names.flatMap(rate), ...ratios].map(() => '--:')]);
  for (const cell of options.cells) {
    const row = [cell.name];
    const of = (name: string, what: keyof Sample) =>
      (samples.get(`${name} ${cell.name}`) ?? []).map((sample) => sample[what]);
    for (const name of names) {
      row.push(spread(of(name, 'perSecond')), median(of(name, 'p50')).toFixed(2), spread(of(name, 'p99'), 1));
      row.push(median(cores.get(`${name} ${cell.name}`) ?? []).toFixed(1));
    }
    for (const what of ratios.length > 0 ? (['perSecond', 'p99'] as const) : []) {
      const [a = [], b = []] = names.map((name) => of(name, what));
      row.push(
        spread(
          a.map((value, i) => value / (b[i] as number)),
          2,
        ),
      );
    }
    printRow(row);
  }
  const memories = names.map((name) => `${name} ${(memory.get(name) ?? 0).toFixed(0)} MiB`).join(', ');
  print(
    `\nResident memory of all processes: ${memories}. Load before the rounds: ${loads.map((load) => load.toFixed(1)).join(', ')}.`,
  );
}

/** MiB/s of 1 MiB things, 8 in flight: values through the door, blocks from this process to the nodes. */
async function printLarge(cluster: Cluster, options: Options): Promise<void> {
  const large = Array.from({ length: 8 }, () => randomBytes(MiB - 4096));
  const { keys } = cluster;
  const { blocks, close } = await cluster.openBlocks();
  const put = async (i: number) => {
    const number = Buffer.alloc(4);
    number.writeUInt32BE(i);
    const block = encodeImmutable(Buffer.alloc(treeTagBytes), 'clear', [number, large[i % large.length] as Buffer]);
    return blocks.put(block, { generation: 0, quorum: 2 });
  };
  const addresses = await Promise.all(large.map((_, i) => put(1e9 + i)));
  const tasks: [string, (i: number) => Promise<unknown>][] = [
    ['put value', (i) => keys.put(largeKey(i), large[i % large.length] as Buffer)],
    ['get value', (i) => keys.get(largeKey(i))],
    ['put block', put],
    ['get block', (i) => blocks.get(addresses[i % addresses.length] as Buffer)],
  ];
  await fillLarge(keys, large);
  printRow(['1 MiB, 8 in flight', 'MiB/s', 'p99 ms']);
  printRow(['---', '--:', '--:']);
  const samples = new Map<string, Sample[]>();
  for (let round = 0; round < options.rounds; round++)
    for (const [name, task] of tasks) {
      await sleep(200);
      samples.set(name, [...(samples.get(name) ?? []), await measure(8, options.seconds, task)]);
    }
  for (const [name, taken] of samples)
    printRow([name, spread(taken.map((sample) => sample.perSecond)), spread(taken.map((sample) => sample.p99))]);
  await close();
}

async function fillLarge(keys: KeyStore, large: readonly Buffer[]): Promise<void> {
  await Promise.all(large.map((value, i) => keys.put(largeKey(i), value)));
}

function largeKey(i: number): Buffer {
  return Buffer.from(`large-${i % 8}`);
}

function printRow(columns: readonly string[]): void {
  print(`| ${columns.join(' | ')} |`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const options = optionsOf(process.argv.slice(2));
const cluster = await startCluster({ profile: options.profile });
const etcd = options.withEtcd ? await startEtcd() : undefined;
try {
  const contestants = [ours(cluster), ...(etcd ? [theirs(etcd)] : [])];
  if (!options.withEtcd) print('etcd is not installed or not asked for: no comparison.\n');
  printComparison(contestants, await compare(contestants, cluster.warm, options), options);
  await etcd?.stop();
  print('');
  if (options.large) await printLarge(cluster, options);
} catch (error) {
  process.stderr.write(cluster.output());
  throw error;
} finally {
  await cluster.stop();
}
process.exit(0);
