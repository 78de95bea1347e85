// With --json every command answers in JSON alone: all lines of the transcripts are run again with it.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Shell } from './shell.ts';

const folder = new URL('transcripts/', import.meta.url);
/** Text for a shell, help: no answers. */
const otherwise = /infinit completion |--help|--version|infinit$/;
/** What is written to a file, or asked for by requests on standard input. */
const silent = /export .*(-o|--output) | run | --run /;

for (const name of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
  test(`transcript ${name} with --json`, async () => {
    const shell = new Shell(name);
    const wrong: string[] = [];
    try {
      for (const line of readFileSync(new URL(name, folder), 'utf8').split('\n')) {
        if (!line.startsWith('$ ')) continue;
        const asked = otherwise.test(line) ? line.slice(2) : withJson(line.slice(2));
        const { stdout, code } = await shell.run(asked);
        const text = stdout.toString('utf8');
        if (asked === line.slice(2)) continue;
        const isAnswered = code !== 0 || text !== '' || silent.test(asked) || / > /.test(asked);
        if (!isAnswered || !isJson(text)) wrong.push(`${asked}\n${text.slice(0, 200)}`);
      }
    } finally {
      shell.close();
    }
    assert.deepEqual(wrong, []);
  });
}

/** The option stands before what is sent to the command or comes of it. */
function withJson(line: string): string {
  const [, command = '', rest = ''] = /^(.*?)((?: (?:<|>|<<<) .*)?)$/.exec(line) ?? [];
  return `${command} --json${rest}`;
}

/** Documents, a line each, or none. */
function isJson(text: string): boolean {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .every((line) => {
      try {
        JSON.parse(line);
        return true;
      } catch {
        return false;
      }
    });
}
