// Help texts, from what command classes say of themselves; man pages and completion read the same facts (`describe`).

import type { Command } from '@oclif/core';
import type { Paint } from './paint.ts';
import { type CommandClass, type CommandRegistry, loadCommand, loadCommands, wordsAfter } from './registry.ts';

/** One option as help shows it. */
export interface OptionFacts {
  name: string;
  /** `-n, --name NAME`. */
  label: string;
  description: string;
  repeatable: boolean;
  takesValue: boolean;
  common: boolean;
}

export interface CommandFacts {
  /** `user create`. */
  name: string;
  usage: string;
  summary: string;
  description: string;
  args: { name: string; description: string }[];
  options: OptionFacts[];
  examples: { description: string; command: string }[];
}

const widthMax = 100;

/** Help of the program, an object, or a command, by how many words the path has. */
export async function helpText(
  registry: CommandRegistry,
  path: readonly string[],
  paint: Paint,
  columns = widthMax,
): Promise<string> {
  const width = Math.max(50, Math.min(columns, widthMax));
  if (path.length === 0) return programHelp(registry, paint, width);
  if (wordsAfter(registry, path).length > 0) return objectHelp(registry, path, paint, width);
  const name = path.join(' ');
  return commandHelp(describe(name, await loadCommand(registry, name)), paint, width);
}

/** The facts of a command class. */
export function describe(name: string, command: CommandClass): CommandFacts {
  const args = Object.entries(command.args).map(([arg, { description = '', required }]) => ({
    name: required ? arg.toUpperCase() : `[${arg.toUpperCase()}]`,
    description,
  }));
  const options = [...optionFacts(command.flags ?? {}, false), ...optionFacts(command.baseFlags ?? {}, true)];
  return {
    name,
    usage: ['infinit', name, ...args.map((arg) => arg.name), '[OPTIONS]'].join(' '),
    summary: command.summary ?? '',
    description: command.description ?? '',
    args,
    options,
    examples: (command.examples ?? []).filter((example) => typeof example !== 'string'),
  };
}

function optionFacts(flags: Readonly<Record<string, Command.Flag.Any>>, common: boolean): OptionFacts[] {
  return Object.entries(flags)
    .filter(([, flag]) => !flag.hidden)
    .map(([name, flag]) => {
      const takesValue = flag.type === 'option';
      const value = takesValue ? ` ${flag.helpValue ?? 'VALUE'}` : '';
      const label = `${flag.char ? `-${flag.char}, ` : '    '}--${name}${value}`;
      const repeatable = takesValue && flag.multiple === true;
      return { name, label, description: flag.description ?? '', repeatable, takesValue, common };
    });
}

function programHelp(registry: CommandRegistry, paint: Paint, width: number): string {
  return [
    'Decentralised, encrypted storage: any machines and disks as one network without masters.',
    '',
    ...section(paint, 'USAGE', [
      'infinit OBJECT MODE [NAME] [OPTIONS]',
      'infinit OBJECT MODE --help',
      'infinit --version',
    ]),
    ...section(paint, 'OBJECTS', table(Object.entries(registry.objects), width)),
  ].join('\n');
}

async function objectHelp(
  registry: CommandRegistry,
  path: readonly string[],
  paint: Paint,
  width: number,
): Promise<string> {
  const commands = await loadCommands(registry, path);
  const rows = commands
    .filter(({ command }) => !command.hidden)
    .map(({ name, command }): [string, string] => [
      name.split(' ').slice(path.length).join(' '),
      command.summary ?? '',
    ]);
  return [
    `${registry.objects[path[0] ?? ''] ?? ''}.`,
    '',
    ...section(paint, 'USAGE', [`infinit ${path.join(' ')} MODE [NAME] [OPTIONS]`]),
    ...section(paint, 'MODES', table(rows, width)),
  ].join('\n');
}

function commandHelp(facts: CommandFacts, paint: Paint, width: number): string {
  const rows = (common: boolean): [string, string][] =>
    facts.options.filter((option) => option.common === common).map((option) => [option.label, option.description]);
  const own = rows(false);
  return [
    `${facts.summary}.`,
    ...(facts.description ? ['', ...wrap(facts.description, width)] : []),
    '',
    ...section(paint, 'USAGE', [facts.usage]),
    ...(facts.args.length > 0
      ? section(
          paint,
          'ARGUMENTS',
          table(
            facts.args.map((arg) => [arg.name, arg.description]),
            width,
          ),
        )
      : []),
    ...(own.length > 0 ? section(paint, 'OPTIONS', table(own, width)) : []),
    ...section(paint, 'COMMON OPTIONS', table(rows(true), width)),
    ...section(
      paint,
      'EXAMPLES',
      facts.examples.flatMap(({ description, command }) => [`${description}:`, `  $ ${command}`]),
    ),
  ].join('\n');
}

function section(paint: Paint, title: string, lines: readonly string[]): string[] {
  return [paint.bold(title), ...lines.map((line) => (line === '' ? '' : `  ${line}`)), ''];
}

/** Two columns; a long first one has its text on the next line. */
function table(rows: readonly (readonly [string, string])[], width: number): string[] {
  const first = Math.min(34, Math.max(...rows.map(([left]) => left.length), 0)) + 2;
  return rows.flatMap(([left, right]) => {
    const lines = wrap(right, width - first - 2);
    if (left.length + 2 > first) return [left, ...lines.map((line) => ' '.repeat(first) + line)];
    return lines
      .map((line, at) => (at === 0 ? left.padEnd(first) : ' '.repeat(first)) + line)
      .map((line) => line.trimEnd());
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.length > 0 ? lines : [''];
}
