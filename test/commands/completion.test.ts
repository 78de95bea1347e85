// Completion as shells do it: the script is sourced, words are typed, and what is offered is compared with the commands there are.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { registry } from '../../src/commands/registry.ts';
import { completionScript, type Shell, shells } from '../../src/core/cli/completion.ts';
import { describe as describeCommand } from '../../src/core/cli/help.ts';
import { loadCommands, wordsAfter } from '../../src/core/cli/registry.ts';
import { needs } from '../end-to-end/needs.ts';

/** How each shell is asked: given lines of words, prints a line of offers for each, separated by blanks. */
const ask: Record<Shell, (script: string) => string> = {
  bash: (script) => `
    source ${script}
    while IFS= read -r line; do
      read -ra COMP_WORDS <<<"$line"; [[ "$line" == *' ' ]] && COMP_WORDS+=('')
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); COMPREPLY=()
      _infinit; echo "\${COMPREPLY[*]}"
    done`,
  zsh: (script) => `
    autoload -U compinit; compinit -u -d ${script}.dump
    source ${script}
    while IFS= read -r line; do
      COMP_WORDS=(\${(z)line}); [[ "$line" == *' ' ]] && COMP_WORDS+=('')
      emulate bash -c 'COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _infinit; echo "\${COMPREPLY[*]}"'
    done`,
  fish: (script) => `
    source ${script}
    while read -l line
      complete -C "$line" | cut -f 1 | string join ' '
    end`,
};

describe('completion', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'infinit-completion-'));
  const wanted = new Map<string, string[]>();
  before(async () => {
    wanted.set('', wordsAfter(registry, []));
    for (const { name, command } of await loadCommands(registry, [])) {
      const [object = ''] = name.split(' ');
      if (name !== object) wanted.set(object, wordsAfter(registry, [object]));
      const options = describeCommand(name, command).options.map((option) => `--${option.name}`);
      wanted.set(`${name} --`, options);
    }
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const shell of shells)
    test(`${shell} offers every object, mode and option`, needs(shell), async () => {
      const script = join(folder, `infinit.${shell}`);
      writeFileSync(script, await completionScript(registry, shell));
      const lines = [...wanted.keys()].map((path) => `infinit ${path}${path === '' || path.endsWith('--') ? '' : ' '}`);
      const { stdout, stderr } = spawnSync(shell, ['-c', ask[shell](script)], {
        input: `${lines.join('\n')}\n`,
        env: { ...process.env, HOME: folder },
        encoding: 'utf8',
      });
      const offers = stdout.split('\n');
      for (const [at, [path, words]] of [...wanted].entries()) {
        const offered = new Set((offers[at] ?? '').split(' '));
        const missing = words.filter((word) => !offered.has(word));
        assert.deepEqual(missing, [], `${lines[at]} (${path}): ${offers[at]}\n${stderr.slice(0, 500)}`);
      }
    });
});
