// Whatever the words, a command answers with 0, 1 or 2 and never with a bug of ours; with `--script` standard output is JSON.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { registry } from '../../src/commands/registry.ts';
import { describe } from '../../src/core/cli/help.ts';
import { loadCommands } from '../../src/core/cli/registry.ts';
import { Shell } from './shell.ts';

test('random words are answered', async () => {
  const commands = (await loadCommands(registry, [])).filter(({ name }) => !name.startsWith('completion'));
  const options = [...new Set(commands.flatMap(({ name, command }) => describe(name, command).options))];
  const option = fc.constantFrom(...new Set(options.map(({ name }) => `--${name}`)));
  const value = fc.constantFrom(
    'alice',
    'bob',
    'n',
    'alice/n',
    's',
    '1',
    '10s',
    '1GB',
    'a.json',
    '-',
    '--',
    '',
    '#00',
    '../x',
  );
  const junk = fc.string({ maxLength: 6 });
  const word = fc.oneof(
    { weight: 4, arbitrary: value },
    { weight: 3, arbitrary: option },
    { weight: 1, arbitrary: fc.tuple(option, value).map(([name, text]) => `${name}=${text}`) },
    { weight: 1, arbitrary: fc.constantFrom('-s', '-n', '-N', '-u', '-fs', '--no-cache', '--frob') },
    { weight: 1, arbitrary: junk },
  );
  const line = fc.tuple(fc.constantFrom(...commands.map(({ name }) => name)), fc.array(word, { maxLength: 6 }));
  const shell = new Shell('random');
  try {
    for (const words of ['user create', 'user create bob', 'silo create memory s', 'network create n --silo s']) {
      assert.equal((await shell.infinit(words.split(' '))).code, 0, words);
    }
    await fc.assert(
      fc.asyncProperty(line, async ([name, words]) => {
        const { stdout, stderr, code } = await shell.infinit([...name.split(' '), ...words]);
        assert.ok([0, 1, 2].includes(code));
        assert.doesNotMatch(stderr, /bug of infinit/, `${name} ${words.join(' ')}`);
        assert.equal(code === 0 || stderr !== '', true);
        if (code === 2) assert.match(stderr, /^infinit: command line error: /m);
        const script = words.includes('--script') && !words.includes('--') && !words.includes('--help');
        if (script) for (const json of stdout.toString().split('\n').filter(Boolean)) JSON.parse(json);
      }),
      { numRuns: 400 },
    );
  } finally {
    shell.close();
  }
});
