#!/usr/bin/env node
// The command. Answers `--version` by itself; else runs the built program, from V8's compiled form of it when this very Node
// made that, and makes it when it can.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));

if (process.argv.length === 3 && process.argv[2] === '--version') {
  process.stdout.write(`${version}\n`);
} else {
  const program = `${root}dist/infinit.cjs`;
  if (existsSync(program)) await load(program).run(root, version);
  else {
    process.stderr.write('infinit: fatal error: the program is not built\nRun: npm run build\n');
    process.exitCode = 1;
  }
}

function load(path) {
  const source = readFileSync(path, 'utf8');
  const cache = `${path}.${process.version}-${process.arch}.cache`;
  const cachedData = existsSync(cache) ? readFileSync(cache) : undefined;
  const script = new vm.Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`, {
    filename: path,
    ...(cachedData ? { cachedData } : {}),
  });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(path), module, path, dirname(path));
  if (!cachedData || script.cachedDataRejected) process.once('exit', () => save(script, cache));
  return module.exports;
}

/** At exit, when what was needed is compiled. A folder we may not write to costs some speed and nothing else. */
function save(script, cache) {
  try {
    writeFileSync(`${cache}.${process.pid}`, script.createCachedData());
    renameSync(`${cache}.${process.pid}`, cache);
  } catch {}
}
