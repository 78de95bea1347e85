// Mounted directories: `node --import tsx bench/mount.ts [--against local,gluster,infinit] [--only PATTERN] [--rounds N] [--quick]
// [--seconds N] [--files N] [--tree N] [--wait N] [--folder DIR] [--profile DIR] [--json]`. All targets run on this machine and take turns at each
// work of each round; `--folder` says on which disk. Needs fio, git and tar; root for GlusterFS and for dropping caches.

import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cpuSeconds, residentMiB } from './cluster.ts';
import { quiet, sleep } from './measure.ts';
import { run, Scene, warn } from './mount-scene.ts';
import { asJson, Results, table } from './mount-table.ts';
import { type Target, targetKinds } from './mount-targets.ts';
import { writeRepository, writeTar } from './mount-tree.ts';
import type { Outcome, WorkerInput } from './mount-worker.ts';
import { describe, type Sizes, type Work, worksFor } from './mount-works.ts';

const worker = fileURLToPath(new URL('./mount-worker.ts', import.meta.url));
const workMinutesMax = 30;
const canDrop = process.getuid?.() === 0;

interface Options {
  against: string[];
  only: RegExp;
  rounds: number;
  waitSeconds: number;
  /** Between works, for what the one before left to do. */
  restSeconds: number;
  folder: string | undefined;
  profile: string | undefined;
  json: boolean;
  sizes: Sizes;
}

function optionsOf(words: string[]): Options {
  const text = { type: 'string' } as const;
  const { values: flags } = parseArgs({
    args: words,
    options: {
      ...{ against: text, only: text, rounds: text, seconds: text, files: text, tree: text, wait: text, folder: text },
      profile: text,
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const amount = (given: string | undefined, usual: number, quick: number) =>
    Number(given ?? (flags.quick ? quick : usual));
  const against = flags.against?.split(',') ?? Object.keys(targetKinds);
  const unknown = against.find((name) => targetKinds[name] === undefined);
  if (unknown !== undefined) throw new Error(`no target ${unknown}: there are ${Object.keys(targetKinds).join(', ')}`);
  return {
    // The one that is compared comes last.
    against: Object.keys(targetKinds).filter((name) => against.includes(name)),
    only: new RegExp(flags.only ?? ''),
    rounds: amount(flags.rounds, 5, 1),
    waitSeconds: amount(flags.wait, 120, 0),
    restSeconds: amount(undefined, 1, 0.2),
    folder: flags.folder,
    profile: flags.profile && resolve(flags.profile),
    json: flags.json,
    sizes: {
      dataMiB: amount(undefined, 256, 32),
      seconds: amount(flags.seconds, 2, 0.5),
      files: amount(flags.files, 2000, 200),
      tree: amount(flags.tree, 20_000, 400),
      repository: amount(undefined, 1000, 100),
    },
  };
}

async function startTargets(scene: Scene, { against, profile }: Options): Promise<Target[]> {
  const targets: Target[] = [];
  for (const name of against) {
    const kind = targetKinds[name];
    const missing = kind?.missing();
    if (missing !== undefined) warn(missing);
    else if (kind !== undefined) targets.push(await kind.start(scene, profile));
    scene.signal.throwIfAborted();
  }
  return targets;
}

async function makeInput(scene: Scene, sizes: Sizes): Promise<WorkerInput> {
  const input = { ...sizes, tar: join(scene.folder, 'tree.tar'), repositoryPath: join(scene.folder, 'repository.git') };
  writeTar(input.tar, sizes.tree);
  await writeRepository(input.repositoryPath, sizes.repository, scene);
  return { ...input, direct: false, check: false };
}

async function work(scene: Scene, task: string, folder: string, input: WorkerInput): Promise<Outcome> {
  const words = ['--import', 'tsx', worker, task, folder, JSON.stringify(input)];
  const output = await run(process.execPath, words, { signal: scene.signal, timeoutMs: workMinutesMax * 60_000 });
  return JSON.parse(output) as Outcome;
}

async function takesDirect(scene: Scene, targets: readonly Target[], input: WorkerInput): Promise<boolean> {
  for (const { folder } of targets) if ((await work(scene, 'takesDirect', folder, input)).value === 0) return false;
  return true;
}

/** Before a work: nothing of the one before is left to write, and caches are as it wants them. */
async function prepare(scene: Scene, target: Target, { caches }: Work, options: Options): Promise<void> {
  await run('sync', [], { signal: scene.signal });
  if (caches === 'fresh mount') await target.remount();
  if (caches !== 'warm' && canDrop) await writeFile('/proc/sys/vm/drop_caches', '3');
  await sleep(options.restSeconds * 1000);
  scene.signal.throwIfAborted();
  if (!target.isServed()) throw new Error('nothing is mounted any more');
}

interface Course {
  scene: Scene;
  targets: readonly Target[];
  works: readonly Work[];
  input: WorkerInput;
  options: Options;
  results: Results;
}

/** What fails is part of the results; an interrupt ends the run. */
async function attempt(course: Course, target: Target, name: string, round: number, task: () => Promise<void>) {
  try {
    await task();
  } catch (error) {
    course.scene.signal.throwIfAborted();
    const message = error instanceof Error ? error.message : String(error);
    course.results.failures.push({ target: target.name, work: name, round, message });
    warn(`${target.name}, ${name}: ${message}\n${target.output()}`);
  }
}

async function runRound(course: Course, round: number): Promise<void> {
  const { scene, targets, works, input, options, results } = course;
  const { signal } = scene;
  results.loads.push(await quiet(options.waitSeconds));
  const folder = (target: Target) => join(target.folder, `round-${round}`);
  // Who comes first changes by round.
  const order = round % 2 === 0 ? targets : targets.toReversed();
  for (const target of order)
    await attempt(course, target, 'begin', round, async () => {
      if (!target.isServed()) throw new Error('nothing is mounted any more');
      await run('mkdir', [folder(target)], { signal });
    });
  for (const one of works)
    for (const target of order)
      await attempt(course, target, one.name, round, async () => {
        const needs = ['begin', ...one.needs];
        if (needs.some((need) => results.failed(target.name, need, round))) throw new Error('what it needs failed');
        await prepare(scene, target, one, options);
        const before = cpuSeconds(target.pids());
        const outcome = await work(scene, one.task, folder(target), { ...input, check: round === 0 });
        results.add(target.name, one, { round, ...outcome, cpuSeconds: cpuSeconds(target.pids()) - before });
      });
  for (const target of order)
    await attempt(course, target, 'end', round, async () => {
      results.memoryMiB.set(target.name, Math.max(results.memoryMiB.get(target.name) ?? 0, residentMiB(target.pids())));
      if (target.isServed()) await run('rm', ['-rf', folder(target)], { signal });
    });
}

function report({ targets, works, input, options, results }: Course): void {
  const names = targets.map(({ name }) => name);
  if (options.json) {
    const facts = { what: Object.fromEntries(targets.map(({ name, what }) => [name, what])), sizes: options.sizes };
    print(JSON.stringify({ ...facts, direct: input.direct, ...asJson(results, works, names) }, undefined, 2));
    return;
  }
  for (const line of table(results, works, names)) print(line);
  print(`\n${targets.map(({ name, what }) => `${name}: ${what}`).join('; ')}.`);
  print(describe(options.sizes, input.direct));
  if (!canDrop) print('Caches were not dropped: that needs root.');
  const memory = [...results.memoryMiB]
    .filter(([, mib]) => mib > 0)
    .map(([name, mib]) => `${name} ${mib.toFixed(0)} MiB`);
  if (memory.length > 0) print(`Resident memory of all processes, the most after a round: ${memory.join(', ')}.`);
  print(`Load before the rounds: ${results.loads.map((load) => load.toFixed(1)).join(', ')}.`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(options: Options): Promise<void> {
  const scene = new Scene(options.folder);
  try {
    const input = await makeInput(scene, options.sizes);
    const targets = await startTargets(scene, options);
    input.direct = await takesDirect(scene, targets, input);
    const course: Course = { scene, targets, works: worksFor(options.only), input, options, results: new Results() };
    for (let round = 0; round < options.rounds; round++) await runRound(course, round);
    report(course);
    if (course.results.failures.length > 0) process.exitCode = 1;
  } catch (error) {
    if (!scene.signal.aborted) throw error;
    warn(String((scene.signal.reason as Error).message));
    process.exitCode = 130;
  } finally {
    await scene.close();
  }
}

await main(optionsOf(process.argv.slice(2)));
process.exit();
