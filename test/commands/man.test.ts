// The manual pages in `man/` are those of the commands as they are now; `npm run man` writes them.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { registry } from '../../src/commands/registry.ts';
import { manPages } from '../../src/core/cli/man-pages.ts';
import { withOverview } from '../../src/core/cli/overview.ts';
import { loadCommands } from '../../src/core/cli/registry.ts';
import { root } from './shell.ts';

test('man/ is fresh: run `npm run man`', async () => {
  const pages = await manPages(registry);
  assert.deepEqual(readdirSync(join(root, 'man')).sort(), [...pages.keys()].sort());
  for (const [name, text] of pages) assert.equal(readFileSync(join(root, 'man', name), 'utf8'), text, name);
});

test('every command says what it is, and shows it', async () => {
  for (const { name, command } of await loadCommands(registry, [])) {
    assert.match(command.summary ?? '', /^[A-Z].*[^.]$/, name);
    assert.ok((command.examples ?? []).length > 0, name);
    for (const [flag, { description }] of Object.entries(command.flags ?? {}))
      assert.ok(description, `${name} --${flag}`);
  }
});

test('every file of a command is registered under its own words', () => {
  const folder = join(root, 'src/commands');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const words = files
    .filter((name) => name !== 'registry.ts')
    .map((name) => name.replace(/\.ts$/, '').replaceAll('/', ' '));
  assert.deepEqual(Object.keys(registry.commands).sort(), words.sort());
  const objects = new Set(Object.keys(registry.commands).map((name) => name.split(' ')[0]));
  assert.deepEqual([...objects].sort(), Object.keys(registry.objects).sort());
});

test('the README has the overview of today, and names commands that exist', async () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  assert.equal(await withOverview(readme, registry), readme, 'run `npm run man`');
  assert.match(readme, /\| `infinit user create` \|/);
  const named = [...readme.matchAll(/^(?:INFINIT_HOME=\S+ )?infinit ([a-z-]+) ([a-z-]+)/gm)];
  assert.ok(named.length > 10);
  for (const [, object, mode] of named) {
    const words = `${object} ${mode}`;
    assert.ok(
      Object.keys(registry.commands).some((command) => `${command} `.startsWith(`${words} `)),
      words,
    );
  }
});
