// What work in the background costs the foreground: `node --import tsx bench/throttle.ts [--files N] [--kib N] [--rounds N]
// [--seconds N] [--wait N] [--folder DIR] [--json]`. A mount works alone, and then while a node whose disk was lost gets everything
// back; by turns. Needs a built program (`npm run build`) and /dev/fuse.

import { randomBytes, randomInt } from 'node:crypto';
import { constants, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { askMonitor } from '../src/core/node/monitor.ts';
import { monitorSocket } from '../src/core/node/sockets.ts';
import type { Device } from '../test/end-to-end/device.ts';
import { measure, median, quiet, sleep, spread } from './measure.ts';
import { type Infinit, infinitMissing, startInfinit } from './mount-infinit.ts';
import { Scene } from './mount-scene.ts';

const callers = 8;
const smallBytes = 16 * 1024;
const readBytes = 64 * 1024;
const network = 'alice/cluster';
/** Of the blocks of a node that lost nothing. */
const healedPart = 0.99;
const healTimeoutMs = 900_000;
const titles = {
  create: `create ${smallBytes / 1024} KiB, fsync each`,
  read: `read ${readBytes / 1024} KiB anywhere, O_DIRECT`,
} as const;
type Work = keyof typeof titles;
const works = Object.keys(titles) as Work[];

interface Options {
  files: number;
  bytes: number;
  rounds: number;
  seconds: number;
  waitSeconds: number;
  folder: string | undefined;
  json: boolean;
}

interface Measured {
  work: Work;
  /** Calls a second. */
  alone: number;
  healing: number;
  /** Of the healing beside the work, and of one that had the machine for itself. */
  healSeconds: number;
  healAloneSeconds: number;
}

function optionsOf(words: string[]): Options {
  const text = { type: 'string' } as const;
  const { values: flags } = parseArgs({
    args: words,
    options: {
      ...{ files: text, kib: text, rounds: text, seconds: text, wait: text, folder: text },
      ...{ quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
    },
  });
  return {
    files: Number(flags.files ?? (flags.quick ? 40 : 200)),
    bytes: Number(flags.kib ?? 1024) * 1024,
    rounds: Number(flags.rounds ?? (flags.quick ? 1 : 3)),
    seconds: Number(flags.seconds ?? (flags.quick ? 3 : 10)),
    waitSeconds: Number(flags.wait ?? (flags.quick ? 0 : 120)),
    folder: flags.folder,
    json: flags.json,
  };
}

async function writeFile(path: string, data: Buffer): Promise<void> {
  const file = await open(path, 'wx');
  await file.writeFile(data);
  await file.sync();
  await file.close();
}

/** What callers do, a call at a time; `begun` numbers the files of all measurements. */
async function foreground({ folder }: Infinit, work: Work, { files, bytes }: Options): Promise<() => Promise<void>> {
  if (work === 'create') {
    const data = randomBytes(smallBytes);
    return async () => writeFile(`${folder}/small-${begun++}`, data);
  }
  const flags = constants.O_RDONLY | constants.O_DIRECT;
  return async () => {
    const file = await open(`${folder}/data-${randomInt(files)}`, flags);
    try {
      const at = randomInt(Math.max(1, bytes / readBytes)) * readBytes;
      const { bytesRead } = await file.read(Buffer.alloc(readBytes), 0, readBytes, at);
      if (bytesRead !== Math.min(readBytes, bytes - at)) throw new Error(`only ${bytesRead} bytes were read`);
    } finally {
      await file.close();
    }
  };
}

let begun = 0;

async function blocksOf(device: Device): Promise<number> {
  const told = await askMonitor(monitorSocket(device.folders, 'network', device.user, network), 'status');
  return (told as { silo: { blocks: number } }).silo.blocks;
}

/** The third node loses its disk and comes back; resolves with the seconds until it has nearly all again: new blocks come meanwhile. */
async function heal(infinit: Infinit, scene: Scene, begins: () => void = () => {}): Promise<number> {
  const { nodes, running } = infinit;
  const [first, , third] = nodes as [Device, Device, Device];
  await running[2]?.kill();
  const disk = third.siloFolder('disk');
  for (const name of readdirSync(disk)) rmSync(join(disk, name), { recursive: true });
  running[2] = await third.startNode(network);
  begins();
  const started = performance.now();
  while ((await blocksOf(third)) < healedPart * (await blocksOf(first))) {
    scene.signal.throwIfAborted();
    if (performance.now() - started > healTimeoutMs)
      throw new Error(`not whole after ${healTimeoutMs / 1000} s:\n${infinit.output()}`);
    await sleep(100);
  }
  return (performance.now() - started) / 1000;
}

async function round(infinit: Infinit, scene: Scene, options: Options): Promise<Measured[]> {
  const found: Measured[] = [];
  const healAloneSeconds = await heal(infinit, scene);
  for (const work of works) {
    const task = await foreground(infinit, work, options);
    const alone = await measure(callers, options.seconds, task);
    // As long as it heals, and no longer: what is counted is done beside it.
    let counted = 0;
    let isHealing = false;
    const caller = async () => {
      while (isHealing) {
        await task();
        if (isHealing) counted++;
      }
    };
    let calling: Promise<unknown> | undefined;
    const healSeconds = await heal(infinit, scene, () => {
      isHealing = true;
      calling = Promise.all(Array.from({ length: callers }, caller));
      calling.catch(() => {}); // told when it is waited for, unless healing fails first
    }).finally(() => {
      isHealing = false;
    });
    await calling;
    found.push({ work, alone: alone.perSecond, healing: counted / healSeconds, healSeconds, healAloneSeconds });
  }
  return found;
}

async function main(words: string[]): Promise<void> {
  const options = optionsOf(words);
  if (options.folder !== undefined) mkdirSync(options.folder, { recursive: true });
  await quiet(options.waitSeconds);
  const missing = infinitMissing();
  if (missing !== undefined) throw new Error(missing);
  const scene = new Scene(options.folder);
  const results: Measured[] = [];
  try {
    const infinit = await startInfinit(scene);
    for (let i = 0; i < options.files; i++) await writeFile(`${infinit.folder}/data-${i}`, randomBytes(options.bytes));
    for (let i = 0; i < options.rounds; i++) results.push(...(await round(infinit, scene, options)));
  } finally {
    await scene.close();
  }
  print(results, options);
}

function print(results: readonly Measured[], options: Options): void {
  if (options.json) {
    process.stdout.write(`${JSON.stringify(results)}\n`);
    return;
  }
  const mib = (options.files * options.bytes) / 2 ** 20;
  const alone = results.filter(({ work }) => work === works[0]).map(({ healAloneSeconds }) => healAloneSeconds);
  process.stdout.write(
    `Three nodes, three copies, ${callers} callers on one mount; ${mib.toFixed(0)} MiB go back to a node whose disk was lost, ` +
      `which takes ${spread(alone, 1)} s when nobody works. Median of ${options.rounds} rounds, least and most.\n\n` +
      '| work | alone, a second | while it heals | part | healing takes, s |\n| --- | --- | --- | --- | --- |\n',
  );
  for (const work of works) {
    const these = results.filter((result) => result.work === work);
    const parts = these.map(({ alone, healing }) => healing / alone);
    process.stdout.write(
      `| ${titles[work]} | ${spread(these.map(({ alone }) => alone))} | ${spread(these.map(({ healing }) => healing))} | ` +
        `${(100 * median(parts)).toFixed(0)} % | ${spread(
          these.map(({ healSeconds }) => healSeconds),
          1,
        )} |\n`,
    );
  }
}

await main(process.argv.slice(2));
