// Bundles the sources into `dist/`: one CommonJS file that loads fast, V8's compiled form of it beside, and one file for each
// helper thread. Native and large packages stay outside and are loaded from node_modules when needed.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const external = ['koffi', 'ldapts', 'pg', 'sqlite3', 'tweetnacl', 'typescript'];

await buildAll(join(root, 'dist'));
warmUp();

/** Builds beside the target and swaps, so that a running test never sees half a build. */
async function buildAll(target: string): Promise<void> {
  const fresh = `${target}.${process.pid}`;
  const old = `${fresh}.old`;
  await mkdir(fresh, { recursive: true });
  await bundle(join(root, 'src/main.ts'), join(fresh, 'infinit.cjs'));
  for (const worker of await workers(join(root, 'src'))) {
    await bundle(worker, join(fresh, basename(worker).replace(/\.ts$/, '.cjs')));
  }
  const library = join(root, 'src/library.ts');
  if (existsSync(library)) await bundle(library, join(fresh, 'library.mjs'), 'esm');
  await writeFile(join(fresh, 'package.json'), '{ "type": "commonjs" }\n');
  if (existsSync(target)) await rename(target, old);
  await rename(fresh, target);
  await rm(old, { recursive: true, force: true });
}

/** Runs one command in a throw-away home, so that V8's compiled form is there before the first real call. */
function warmUp(): void {
  const home = mkdtempSync(join(tmpdir(), 'infinit-build-'));
  const env = { ...process.env, INFINIT_HOME: home };
  spawnSync(process.execPath, [join(root, 'bin/infinit.js'), 'user', 'create', 'warm'], { env, stdio: 'ignore' });
  rmSync(home, { recursive: true, force: true });
}

async function bundle(entry: string, outfile: string, format: 'cjs' | 'esm' = 'cjs'): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20.17',
    format,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    external,
    logLevel: 'warning',
    ...(format === 'cjs' && {
      banner: { js: 'const importMetaUrl = require("node:url").pathToFileURL(__filename).href;' },
      define: { 'import.meta.url': 'importMetaUrl' },
      // `import()` becomes `require()`: a script made from V8's compiled form has no import callback.
      supported: { 'dynamic-import': false },
    }),
  });
}

/** Files that are started as threads: `*-worker.ts`. */
async function workers(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true });
  return entries.filter((name) => name.endsWith('-worker.ts')).map((name) => join(folder, name));
}
