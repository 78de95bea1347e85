// The project keeps its own rules (scripts/tidy.ts), and the rules catch what they should.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkCode, checkWords, functionLinesMax, layers, linesMax, type SourceFile } from '../scripts/tidy.ts';
import { registry } from '../src/commands/registry.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

describe('the project', () => {
  const files = ['bin', 'scripts', 'src', 'test', 'bench', 'docs', 'man'].flatMap(filesIn);
  const pages = readdirSync(root).filter((name) => /\.(md|json)$/.test(name) && name !== 'package-lock.json');

  test('keeps the rules of code', () => {
    const code = files.filter((path) => /\.(ts|js|mjs)$/.test(path) && !path.startsWith('docs/'));
    assert.deepEqual(
      code.flatMap((path) => checkCode(read(path))),
      [],
    );
  });

  test('names nothing outside itself', () => {
    const texts = [...files, ...pages].filter((path) => /\.(md|txt|json|jsonl|sh|1|mjs)$/.test(path));
    assert.deepEqual(
      texts.flatMap((path) => checkWords(read(path))),
      [],
    );
  });

  test('has a manual page for the program and each object', () => {
    const wanted = ['infinit.1', ...Object.keys(registry.objects).map((object) => `infinit-${object}.1`)];
    assert.deepEqual(
      wanted.filter((page) => !existsSync(join(root, 'man', page))),
      [],
    );
  });

  test('has a layer for each folder of the core', () => {
    const folders = readdirSync(join(root, 'src/core'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    assert.deepEqual(
      folders.map(({ name }) => name).filter((name) => !layers.includes(name)),
      [],
    );
  });
});

describe('the rules', () => {
  const problems = (path: string, ...lines: string[]) =>
    checkCode({ path, text: ['// What it is for.', '', ...lines, ''].join('\n') });
  const one = (path: string, lines: string[], pattern: RegExp) => {
    const found = problems(path, ...lines);
    assert.equal(found.length, 1, `${lines.join(' ')}: ${found.join('; ')}`);
    assert.match(found[0] ?? '', pattern);
  };

  test('let good files pass', () => {
    assert.deepEqual(
      problems('src/core/store/a.ts', "import { x } from '../block/block.ts';", 'export const y = x;'),
      [],
    );
    assert.deepEqual(problems('src/core/node/a.ts', "import type { Running } from '../cli/running.ts';"), []);
    assert.deepEqual(problems('src/core/node/a.ts', "import { chord } from '../overlay/chord/chord.ts';"), []);
    assert.deepEqual(problems('src/core/gateway/a.ts', 'export const now = Date.now();'), []);
    assert.deepEqual(problems('src/commands/user/a.ts', 'export default class A {}'), []);
    assert.deepEqual(checkCode({ path: 'bin/a.js', text: '#!/usr/bin/env node\n// The command.\n\nrun();\n' }), []);
  });

  test('keep layers in order', () => {
    one('src/core/block/a.ts', ["import { x } from '../store/store.ts';"], /:3 imports .*block stands above store/);
    one('src/core/base/a.ts', ["export { x } from '../crypto/hash.ts';"], /base stands above crypto/);
    one('src/core/tree/a.ts', ["const x = await import('../node/node.ts');"], /tree stands above node/);
    one('src/core/cli/a.ts', ["import { x } from '../../commands/registry.ts';"], /imports src\/commands\/registry.ts/);
    one('src/core/node/a.ts', ["import { Running } from '../cli/running.ts';"], /node stands above cli/);
    one('src/core/tree/a.ts', ["type X = import('../node/node.ts').X;"], /tree stands above node/);
    one('src/core/store/a.ts', ["import { x } from './b';"], /without its ending/);
  });

  test('keep implementations behind their contracts', () => {
    one('src/core/store/a.ts', ["import { chord } from '../overlay/chord/chord.ts';"], /names the implementation/);
    one('src/core/tree/a.ts', ["import { f } from '../runtime/system/files.ts';"], /names the implementation/);
  });

  test('keep the outside behind the runtime, and say what to use', () => {
    const doors: Record<string, RegExp> = {
      "import { readFile } from 'node:fs/promises';": /use runtime.files/,
      "import net from 'node:net';": /use runtime.transport/,
      'export const a = Date.now();': /use runtime.clock/,
      'export const a = new Date();': /use runtime.clock/,
      'export const a = Math.random();': /use runtime.random/,
      'setTimeout(() => {}, 1);': /use runtime.clock/,
      'export const a = process.env;': /pass the value in/,
      'export const a = randomBytes(3);': /use runtime.random/,
    };
    for (const layer of ['block', 'silo', 'peer', 'overlay', 'consensus', 'store', 'tree', 'volume']) {
      for (const [line, advice] of Object.entries(doors)) one(`src/core/${layer}/a.ts`, [line], advice);
    }
    assert.deepEqual(
      problems('src/core/tree/a.ts', '// Date.now() would be wrong', "export const a = 'Math.random()';"),
      [],
    );
  });

  test('keep files and functions short, and opened by a comment', () => {
    one('src/core/base/a.ts', Array(linesMax).fill('export {};'), /lines: at most 400/);
    const long = ['export function f() {', ...Array(functionLinesMax).fill('  f();'), '}'];
    one('src/core/base/a.ts', long, /:3 a function of 72 lines/);
    assert.match(checkCode({ path: 'src/a.ts', text: 'export {};\n' }).join(), /does not open with a comment/);
  });

  test('keep default exports to commands, and unfinished work and foreign places out', () => {
    one('src/core/base/a.ts', ['export default class A {}'], /default export/);
    one('src/core/base/a.ts', [`// ${'TO'}${'DO'}: later`], /leaves work behind/);
    assert.equal(checkWords({ path: 'docs/a.md', text: `see ../${'shared'}/x\n` }).length, 1);
  });
});

function filesIn(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length));
}

function read(path: string): SourceFile {
  return { path, text: readFileSync(join(root, path), 'utf8') };
}
