// What the dispatcher knows of commands before loading any: their names and how to load each.

import type { Config } from '@oclif/core';
import type { BaseCommand } from './base-command.ts';
import type { Invocation } from './invocation.ts';

/** A command class with what help, man pages and completion read from it. */
export type CommandClass = (new (
  argv: string[],
  config: Config,
  invocation: Invocation,
) => BaseCommand) &
  Pick<typeof BaseCommand, 'args' | 'flags' | 'baseFlags' | 'summary' | 'description' | 'examples' | 'hidden'>;

export interface CommandRegistry {
  /** Object name to the line that says what it is, in the order of help. */
  readonly objects: Readonly<Record<string, string>>;
  /** Words of a command joined by a space (`user create`, `silo create filesystem`) to what loads it. */
  readonly commands: Readonly<Record<string, () => Promise<{ default: CommandClass }>>>;
}

/** The words that may follow the path, in the order of the registry; empty when the path is a command or nothing. */
export function wordsAfter(registry: CommandRegistry, path: readonly string[]): string[] {
  const prefix = path.length === 0 ? '' : `${path.join(' ')} `;
  const words = Object.keys(registry.commands)
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length).split(' ', 1)[0] as string);
  return [...new Set(words)];
}

/** Commands below the path, loaded. */
export async function loadCommands(
  registry: CommandRegistry,
  path: readonly string[],
): Promise<{ name: string; command: CommandClass }[]> {
  const whole = path.join(' ');
  const names = Object.keys(registry.commands).filter((name) => `${name} `.startsWith(whole === '' ? '' : `${whole} `));
  return Promise.all(names.map(async (name) => ({ name, command: await loadCommand(registry, name) })));
}

export async function loadCommand(registry: CommandRegistry, name: string): Promise<CommandClass> {
  const load = registry.commands[name];
  if (!load) throw new Error(`no command named ${name}`);
  return (await load()).default;
}
