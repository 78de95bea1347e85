// Every command and option of the original exists, but for those that docs/command-line.md says do not.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { registry } from '../../src/commands/registry.ts';
import { loadCommands } from '../../src/core/cli/registry.ts';
import { common, reference } from './reference.ts';
import { root } from './shell.ts';

/** By command, the options it takes; an option that may be negated has two names. */
async function options(): Promise<Map<string, Set<string>>> {
  const found = new Map<string, Set<string>>();
  for (const { name, command } of await loadCommands(registry, [])) {
    const flags = Object.entries({ ...command.baseFlags, ...command.flags });
    const names = flags.flatMap(([flag, definition]) => {
      const { aliases = [], ...rest } = definition;
      return [flag, ...aliases, ...('allowNo' in rest && rest.allowNo ? [`no-${flag}`] : [])];
    });
    found.set(name, new Set(names));
  }
  return found;
}

/** `command` of what is not there at all, `command --option` of an option. */
function documented(): string[] {
  const page = readFileSync(join(root, 'docs/command-line.md'), 'utf8');
  const [, section = ''] = page.split('## Not taken\n');
  const quoted = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);
  return section.split('\n').flatMap((line) => {
    const [, commands = '', what = ''] = line.split('|');
    const names = quoted(what);
    return quoted(commands).flatMap((command) =>
      names.length === 0 ? [command] : names.map((option) => `${command} ${option}`),
    );
  });
}

test('the original’s commands and options are there, but for those that the table names', async () => {
  const there = await options();
  const missing = [...reference].flatMap(([command, wanted]) => {
    const taken = there.get(command);
    if (taken === undefined) return [command];
    return [...wanted, ...common.split(' ')]
      .filter((option) => !taken.has(option))
      .map((option) => `${command} --${option}`);
  });
  assert.deepEqual(documented().sort(), missing.sort());
});
