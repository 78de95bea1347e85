// Healing after the loss of one of three nodes: `node --import tsx bench/heal.ts [--against gluster,infinit] [--files N] [--kib N]
// [--rounds N] [--wait N] [--folder DIR] [--json]`. Twice a round, each system started anew for it: a node whose disk is lost comes
// back empty; then a node comes back that was away while files were written. Timed from the command that brings it back until the
// system says that nothing is left to do and every byte is on that disk. Needs root for GlusterFS.

import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { type Patient, patientKinds } from './heal-patients.ts';
import { median, quiet, sleep, spread } from './measure.ts';
import { Scene, warn } from './mount-scene.ts';

const healTimeoutMs = 900_000;
const lookEveryMs = 100;
const cases = ['emptied', 'away'] as const;
type Case = (typeof cases)[number];
const titles: Record<Case, string> = {
  emptied: 'a node lost its disk and comes back empty',
  away: 'a node comes back that was away while all was written',
};

interface Options {
  against: string[];
  files: number;
  bytes: number;
  rounds: number;
  waitSeconds: number;
  folder: string | undefined;
  json: boolean;
}

function optionsOf(words: string[]): Options {
  const text = { type: 'string' } as const;
  const { values: flags } = parseArgs({
    args: words,
    options: {
      ...{ against: text, files: text, kib: text, rounds: text, wait: text, folder: text },
      ...{ quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
    },
  });
  const against = flags.against?.split(',') ?? Object.keys(patientKinds);
  const unknown = against.find((name) => patientKinds[name] === undefined);
  if (unknown !== undefined) throw new Error(`no system ${unknown}: there are ${Object.keys(patientKinds).join(', ')}`);
  return {
    against,
    files: Number(flags.files ?? (flags.quick ? 20 : 200)),
    bytes: Number(flags.kib ?? 1024) * 1024,
    rounds: Number(flags.rounds ?? (flags.quick ? 1 : 3)),
    waitSeconds: Number(flags.wait ?? (flags.quick ? 0 : 120)),
    folder: flags.folder,
    json: flags.json,
  };
}

interface Measured {
  system: string;
  case: Case;
  writeSeconds: number;
  healSeconds: number;
}

/** Each synced; their hashes by name. */
async function writeFiles(patient: Patient, prefix: string, { files, bytes }: Options): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  for (let i = 0; i < files; i++) {
    const data = randomBytes(bytes);
    const name = `${prefix}-${i}`;
    const file = await open(`${patient.folder}/${name}`, 'wx');
    await file.writeFile(data);
    await file.sync();
    await file.close();
    hashes.set(name, createHash('sha256').update(data).digest('hex'));
  }
  return hashes;
}

async function until(patient: Patient, wanted: ReadonlyMap<string, string>, scene: Scene): Promise<void> {
  for (const started = performance.now(); !(await patient.isWhole(wanted)); await sleep(lookEveryMs)) {
    scene.signal.throwIfAborted();
    if (performance.now() - started > healTimeoutMs)
      throw new Error(`${patient.name} is not whole after ${healTimeoutMs / 1000} s:\n${patient.output()}`);
  }
}

async function measure(patient: Patient, scene: Scene, options: Options): Promise<Measured[]> {
  const all = new Map<string, string>();
  const found: Measured[] = [];
  for (const one of cases) {
    if (one === 'away') await patient.lose(false);
    const started = performance.now();
    for (const [name, hash] of await writeFiles(patient, one, options)) all.set(name, hash);
    const writeSeconds = (performance.now() - started) / 1000;
    if (one === 'emptied') {
      await until(patient, all, scene);
      await patient.lose(true);
    }
    const lostAt = performance.now();
    await patient.bringBack();
    await until(patient, all, scene);
    found.push({ system: patient.name, case: one, writeSeconds, healSeconds: (performance.now() - lostAt) / 1000 });
  }
  await patient.check();
  return found;
}

async function main(words: string[]): Promise<void> {
  const options = optionsOf(words);
  if (options.folder !== undefined) mkdirSync(options.folder, { recursive: true });
  await quiet(options.waitSeconds);
  const results: Measured[] = [];
  const what = new Map<string, string>();
  for (let round = 0; round < options.rounds; round++) {
    for (const name of options.against) {
      const kind = patientKinds[name];
      const missing = kind?.missing();
      if (missing !== undefined && round === 0) warn(missing);
      if (kind === undefined || missing !== undefined) continue;
      const scene = new Scene(options.folder);
      try {
        const patient = await kind.start(scene);
        what.set(name, patient.what);
        results.push(...(await measure(patient, scene, options)));
      } finally {
        await scene.close();
      }
    }
  }
  print(results, what, options);
}

function print(results: readonly Measured[], what: ReadonlyMap<string, string>, options: Options): void {
  if (options.json) {
    process.stdout.write(`${JSON.stringify(results)}\n`);
    return;
  }
  const mib = (options.files * options.bytes) / 2 ** 20;
  const lines = [...what].map(([name, text]) => `- ${name}: ${text}`);
  lines.push(
    '',
    `${options.files} files, ${mib.toFixed(0)} MiB; median of ${options.rounds} rounds, least and most.`,
    '',
  );
  lines.push('| what heals | system | seconds | MiB/s | written before, MiB/s |', '| --- | --- | --- | --- | --- |');
  for (const one of cases)
    for (const name of what.keys()) {
      const these = results.filter((result) => result.system === name && result.case === one);
      const heal = these.map(({ healSeconds }) => healSeconds);
      const written = mib / median(these.map(({ writeSeconds }) => writeSeconds));
      lines.push(
        `| ${titles[one]} | ${name} | ${spread(heal, 1)} | ${(mib / median(heal)).toFixed(1)} | ${written.toFixed(1)} |`,
      );
    }
  process.stdout.write(`${lines.join('\n')}\n`);
}

await main(process.argv.slice(2));
