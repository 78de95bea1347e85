// Makes a bare clone ready: installs the locked dependencies when they are missing, and builds. Plain JavaScript, because it
// runs before anything is installed.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 17)) fail(`Node 20.17 or newer is needed, this is ${process.versions.node}`);
if (!existsSync(`${root}node_modules/.package-lock.json`)) {
  process.stderr.write('Installing dependencies; where sqlite3 must be compiled this takes some minutes.\n');
  run('npm', ['ci', '--no-audit', '--no-fund']);
}
run(process.execPath, ['--import', 'tsx', 'scripts/build.ts']);

function run(program, words) {
  const { status, error } = spawnSync(program, words, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) fail(`${program}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
