// How long commands take to start: `node --import tsx bench/cli.ts [--rounds N] [--wait N]`. By turns with a Node that does
// nothing, which no command of this program can be faster than.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median, quiet, spread } from './measure.ts';

const program = fileURLToPath(new URL('../bin/infinit.js', import.meta.url));
const nothing = 'node -e 0';
const commands: readonly [name: string, words: readonly string[]][] = [
  [nothing, ['-e', '0']],
  ['infinit --version', [program, '--version']],
  ['infinit --help', [program, '--help']],
  ['infinit user list', [program, 'user', 'list']],
];

const { values: flags } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, wait: { type: 'string', default: '120' } },
});
const home = mkdtempSync(join(tmpdir(), 'infinit-bench-'));
const env = { ...process.env, INFINIT_HOME: home, INFINIT_RUNTIME_DIR: join(home, 'run'), INFINIT_USER: 'alice' };
const run = (words: readonly string[]) => execFileSync(process.execPath, words, { env, stdio: 'pipe' });
try {
  run([program, 'user', 'create', 'alice']);
  for (const [, words] of commands) run(words);
  const load = await quiet(Number(flags.wait));
  const times = new Map<string, number[]>(commands.map(([name]) => [name, []]));
  for (let round = 0; round < Number(flags.rounds); round++)
    for (const [name, words] of commands) {
      const start = performance.now();
      run(words);
      times.get(name)?.push(performance.now() - start);
    }
  const least = median(times.get(nothing) ?? []);
  const rows = [...times].map(([name, taken]) => {
    const more = median(taken) - least;
    return `| \`${name}\` | ${spread(taken)} | ${more.toFixed(0)} |`;
  });
  process.stdout.write(`| command | ms | more than nothing, ms |\n| --- | --: | --: |\n${rows.join('\n')}\n`);
  process.stdout.write(`\nLoad before: ${load.toFixed(1)}.\n`);
} finally {
  rmSync(home, { recursive: true, force: true });
}
