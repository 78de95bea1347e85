// Runs the tests named by folders or files below `test/`, two files at a time: `node scripts/test.mjs unit commands`.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = process.argv.slice(2).flatMap((name) => testsIn(join('test', name)));
if (files.length === 0) {
  process.stderr.write('no test found\n');
  process.exit(1);
}
const words = ['--import', 'tsx', '--test', '--test-concurrency=2', ...files];
const { status } = spawnSync(process.execPath, words, { cwd: root, stdio: 'inherit' });
process.exit(status ?? 1);

function testsIn(path) {
  if (!existsSync(join(root, path))) return [];
  if (statSync(join(root, path)).isFile()) return [path];
  return readdirSync(join(root, path), { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => join(path, name));
}
