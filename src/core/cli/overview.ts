// The overview of commands in the README, from the same facts as help.

import { describe } from './help.ts';
import { type CommandRegistry, loadCommands } from './registry.ts';

const begin = '<!-- commands: written by `npm run man` -->\n';
const end = '<!-- /commands -->';

/** The README with its overview written anew. */
export async function withOverview(readme: string, registry: CommandRegistry): Promise<string> {
  const [from, to] = [readme.indexOf(begin), readme.indexOf(end)];
  if (from < 0 || to < from) return readme;
  return `${readme.slice(0, from)}${begin}${await overview(registry)}${readme.slice(to)}`;
}

async function overview(registry: CommandRegistry): Promise<string> {
  const rows: string[] = [];
  for (const { name, command } of await loadCommands(registry, [])) {
    if (!command.hidden) rows.push(`| \`infinit ${name}\` | ${describe(name, command).summary} |`);
  }
  return ['| Command | What it does |', '|---|---|', ...rows, ''].join('\n');
}
