// Every transcript in `transcripts/` replayed: the lines that begin with `$` run, what follows must come out. `!` marks
// standard error, `?` an exit code that is not 0. UPDATE_GOLDEN=1 writes down what comes out.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { registry } from '../../src/commands/registry.ts';
import { type Result, Shell } from './shell.ts';

const folder = new URL('transcripts/', import.meta.url);
const names = readdirSync(folder).filter((name) => name.endsWith('.txt'));

for (const name of names) {
  test(`transcript ${name}`, async () => {
    const wanted = readFileSync(new URL(name, folder), 'utf8');
    const shell = new Shell(name);
    try {
      const got = await replay(shell, wanted);
      if (process.env.UPDATE_GOLDEN) writeFileSync(new URL(name, folder), got);
      else assert.equal(got, wanted);
    } finally {
      shell.close();
    }
  });
}

test('every command is in a transcript', () => {
  const lines = names.flatMap((name) => readFileSync(new URL(name, folder), 'utf8').split('\n'));
  const run = lines.filter((line) => line.startsWith('$ ')).join('\n');
  const missing = Object.keys(registry.commands).filter((command) => !run.includes(`infinit ${command}`));
  assert.deepEqual(missing, []);
});

/** The transcript as it comes out now: its commands and comments (`;`) in order, with today's answers. */
async function replay(shell: Shell, transcript: string): Promise<string> {
  let out = '';
  for (const line of transcript.split('\n')) {
    if (line.startsWith(';')) out += `${line}\n`;
    if (!line.startsWith('$ ')) continue;
    out += `${line}\n${answer(await shell.run(line.slice(2)), shell.folder)}\n`;
  }
  return out;
}

function answer({ stdout, stderr, code }: Result, folder: string): string {
  const text = stdout.toString('utf8');
  const shown = text === '' || text.endsWith('\n') ? text : `${text}\n`;
  const errors = stderr.split('\n').slice(0, -1);
  const marked = errors.map((line) => `${`! ${line}`.trimEnd()}\n`).join('');
  return `${shown}${marked}${code === 0 ? '' : `? ${code}\n`}`.replaceAll(folder, '/work');
}
