// From words to a command and its exit code. Understands objects and modes before loading anything, so that light calls are
// quick; every failure is reported here.

import { Config } from '@oclif/core';
import { InfinitError } from '../base/errors.ts';
import { BaseCommand } from './base-command.ts';
import { reportFailure } from './failure.ts';
import type { Invocation } from './invocation.ts';
import { rewriteLegacy } from './legacy.ts';
import { paintFor } from './paint.ts';
import { type CommandRegistry, loadCommand, wordsAfter } from './registry.ts';

/** Runs the command the words name; resolves with the exit code, never rejects. */
export async function main(given: Invocation, registry: CommandRegistry): Promise<number> {
  const path: string[] = [];
  let invocation = given;
  try {
    const rewritten = rewriteLegacy(given, registry);
    invocation = { ...given, program: 'infinit', argv: rewritten.argv };
    for (const notice of rewritten.notices) invocation.stderr.write(`infinit: ${notice}\n`);
    return await dispatch(invocation, registry, path);
  } catch (error) {
    return reportFailure(error, path, invocation, await paintFor(invocation.stderr, invocation));
  }
}

async function dispatch(invocation: Invocation, registry: CommandRegistry, path: string[]): Promise<number> {
  const { argv } = invocation;
  let words = wordsAfter(registry, path);
  while (words.length > 0) {
    const word = argv[path.length];
    if (word === undefined || isHelp(word)) return help(invocation, registry, path, word !== undefined);
    if (path.length === 0 && word === '--version') return version(invocation);
    if (!words.includes(word)) throw unknownWord(path, word);
    path.push(word);
    words = wordsAfter(registry, path);
  }
  const rest = argv.slice(path.length);
  const end = rest.indexOf('--');
  if (rest.slice(0, end < 0 ? rest.length : end).some(isHelp)) return help(invocation, registry, path, true);
  const name = path.join(' ');
  const config = await Config.load({ root: invocation.root, pjson: packageOf(invocation) });
  const CommandClass = await loadCommand(registry, name);
  Object.assign(CommandClass, { id: name });
  return BaseCommand.invoke(new CommandClass([...rest], config, invocation));
}

function isHelp(word: string): boolean {
  return word === '--help' || word === '-h';
}

/** Asked for: on standard output, 0. Because the words stop too early: on standard error, 1. */
async function help(
  invocation: Invocation,
  registry: CommandRegistry,
  path: readonly string[],
  asked: boolean,
): Promise<number> {
  const { helpText } = await import('./help.ts');
  const output = asked ? invocation.stdout : invocation.stderr;
  output.write(await helpText(registry, path, await paintFor(output, invocation), output.columns));
  return asked ? 0 : 1;
}

function version(invocation: Invocation): number {
  invocation.stdout.write(`${invocation.version}\n`);
  return 0;
}

/** Options that would be right behind a mode. */
const commonOptions = new Set(['--script', '--json', '-s', '--as', '-a', '--compatibility-version']);

function unknownWord(path: readonly string[], word: string): InfinitError {
  const [object, ...modes] = path;
  if (commonOptions.has(word.split('=', 1)[0] ?? word)) {
    return new InfinitError(
      'usage',
      object === undefined ? 'missing object type' : `missing mode for object ${object}`,
    );
  }
  if (word.startsWith('-')) return new InfinitError('usage', `unknown option: ${word}`);
  if (object === undefined) return new InfinitError('usage', `unknown object type: ${word}`);
  return new InfinitError('usage', `unknown mode for object ${object}: ${[...modes, word].join(' ')}`);
}

/** What oclif wants to know of the package; given here so that it reads no file. */
function packageOf(invocation: Invocation): NonNullable<Parameters<typeof Config.load>[0] & object>['pjson'] {
  return { name: 'infinit', version: invocation.version, oclif: { bin: 'infinit', topicSeparator: ' ' } };
}
