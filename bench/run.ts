// `npm run bench`: the measurements one after another, printed as a section for bench/RESULTS.md. Words behind `--` go to the
// comparison of keys (`npm run bench -- --quick`). `npm run bench -- --suite mount` runs that one alone, and words go to it: mounts
// take an hour, so that is the only way to them, to healing (`--suite heal`), to work beside healing (`--suite throttle`), to the hub
// (`--suite hub`) and to large rings (`--suite ring-scale --nodes 1000000`).
// Needs a built program (`npm run build`), but for rings; etcd on the path for the comparison.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, freemem, loadavg, release, tmpdir, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

const given = process.argv.slice(2);
const at = given.indexOf('--suite');
const suite = at >= 0 ? given[at + 1] : undefined;
const words = at >= 0 ? given.toSpliced(at, 2) : given;
const wait = words.includes('--wait') ? words.slice(words.indexOf('--wait')).slice(0, 2) : [];
const usual: readonly [title: string, file: string, words: readonly string[]][] = [
  ['Silo', 'silo.ts', []],
  ['Commands', 'cli.ts', words.includes('--quick') ? ['--rounds', '5', '--wait', '0'] : wait],
  ['Keys', 'kv.ts', words],
];
const suites: Record<string, string> = {
  silo: 'Silo',
  cli: 'Commands',
  kv: 'Keys',
  mount: 'Mounts',
  heal: 'Healing',
  throttle: 'Work beside healing',
  hub: 'The hub under load',
  'ring-scale': 'Chord at scale',
};
const title = suite === undefined ? undefined : suites[suite];
if (at >= 0 && title === undefined) throw new Error(`no suite ${suite}: there are ${Object.keys(suites).join(', ')}`);
const parts: typeof usual = title === undefined ? usual : [[title, `${suite}.ts`, words]];

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(0)} GiB`;
}

/** The file system that temporary folders are on. */
function disk(): string {
  const { blocks, bsize } = statfsSync(tmpdir());
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const on = mounts
    .map((line) => line.split(' '))
    .filter(([, place = '']) => tmpdir() === place || tmpdir().startsWith(place === '/' ? place : `${place}/`))
    .sort(([, a = ''], [, b = '']) => b.length - a.length)[0];
  return `${tmpdir()} on ${on?.[2] ?? 'unknown'} (${on?.[0] ?? ''}), ${gib(blocks * bsize)}`;
}

function etcdVersion(): string {
  try {
    return execFileSync('etcd', ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? '';
  } catch {
    return 'no etcd';
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

print(`## ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC\n`);
print(`\`npm run bench${given.length > 0 ? ` -- ${given.join(' ')}` : ''}\``);
print(
  `on ${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), ${gib(totalmem())} of memory (${gib(freemem())} free), ` +
    `Linux ${release()}, Node ${process.version}, ${etcdVersion()}; ${disk()}; load at the start ${loadavg()[0]?.toFixed(1)}.`,
);
for (const [title, file, more] of parts) {
  print(`\n### ${title}\n`);
  const path = fileURLToPath(new URL(file, import.meta.url));
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', path, ...more], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
