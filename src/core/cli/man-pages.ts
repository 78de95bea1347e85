// Manual pages in roff, from the facts that help shows.

import { type CommandFacts, describe, type OptionFacts } from './help.ts';
import { type CommandRegistry, loadCommands } from './registry.ts';

/** Stands in every page instead of the day it was written. */
const date = 'November 2026';

/** File name to text: one page for the program and one for each object. */
export async function manPages(registry: CommandRegistry): Promise<Map<string, string>> {
  const pages = new Map([['infinit.1', programPage(registry)]]);
  for (const [object, summary] of Object.entries(registry.objects)) {
    const commands = (await loadCommands(registry, [object])).filter(({ command }) => !command.hidden);
    const facts = commands.map(({ name, command }) => describe(name, command));
    pages.set(`infinit-${object}.1`, objectPage(object, summary, facts, Object.keys(registry.objects)));
  }
  return pages;
}

function programPage(registry: CommandRegistry): string {
  const objects = Object.entries(registry.objects);
  return page('infinit', 'decentralised, encrypted storage', [
    '.SH SYNOPSIS',
    '.B infinit',
    '.I OBJECT MODE',
    '[\\fINAME\\fR] [\\fIOPTIONS\\fR]',
    '.SH DESCRIPTION',
    'Turns machines and disks into one encrypted, replicated storage network without masters.',
    'Each object has its own page, such as',
    '.BR infinit-network (1).',
    '.SH OBJECTS',
    ...objects.flatMap(([name, summary]) => ['.TP', `.BR infinit-${roff(name)} (1)`, roff(`${summary}.`)]),
    '.SH ENVIRONMENT',
    ...definitions([
      ['INFINIT_USER', 'the acting user, instead of the login'],
      ['INFINIT_HOME', 'folder below which everything is kept, instead of the home folder'],
      [
        'INFINIT_DATA_HOME, INFINIT_CACHE_HOME, INFINIT_STATE_HOME, INFINIT_CONFIG_HOME, INFINIT_RUNTIME_DIR',
        'the single folders',
      ],
      ['INFINIT_BACKTRACE', 'show where an error comes from'],
      ['INFINIT_DISABLE_SIGNAL_HANDLER', 'let signals end the process at once'],
      ['INFINIT_LOG_LEVEL', 'error, warn (default), info or debug'],
      ['INFINIT_LOG_FILE', 'write the log to this file instead of standard error'],
      ['NO_COLOR', 'no colours'],
    ]),
    '.SH EXIT STATUS',
    ...definitions([
      ['0', 'done'],
      ['1', 'failed'],
      ['2', 'not understood'],
    ]),
    '.SH SEE ALSO',
    objects.map(([name]) => `.BR infinit-${roff(name)} (1)`).join(' ,\n'),
  ]);
}

function objectPage(object: string, summary: string, commands: readonly CommandFacts[], objects: string[]): string {
  const common = commands[0]?.options.filter((option) => option.common) ?? [];
  return page(`infinit-${object}`, lowerFirst(summary), [
    '.SH SYNOPSIS',
    ...commands.flatMap((facts) => [`.B ${roff(facts.usage)}`, '.br']),
    '.SH MODES',
    ...commands.flatMap(modeSection),
    '.SH COMMON OPTIONS',
    ...optionList(common),
    '.SH SEE ALSO',
    ['infinit', ...objects.filter((name) => name !== object).map((name) => `infinit-${name}`)]
      .map((name) => `.BR ${roff(name)} (1)`)
      .join(' ,\n'),
  ]);
}

function modeSection(facts: CommandFacts): string[] {
  return [
    `.SS ${roff(facts.usage)}`,
    roff(`${facts.summary}.${facts.description ? ` ${facts.description}` : ''}`),
    ...optionList(facts.options.filter((option) => !option.common)),
    '.PP',
    ...facts.examples.flatMap(({ description, command }) => [
      roff(`${description}:`),
      '.PP',
      '.nf',
      `.RS 4\n${roff(command)}\n.RE`,
      '.fi',
      '.PP',
    ]),
  ];
}

function optionList(options: readonly OptionFacts[]): string[] {
  return definitions(options.map(({ label, description }) => [label.trim(), description]));
}

function definitions(rows: readonly (readonly [string, string])[]): string[] {
  return rows.flatMap(([term, text]) => ['.TP', `.B ${roff(term)}`, roff(text)]);
}

function page(name: string, summary: string, lines: readonly string[]): string {
  const head = [`.TH ${name.toUpperCase()} 1 "${date}" "infinit" "Infinit manual"`, '.SH NAME'];
  return `${[...head, `${roff(name)} \\- ${roff(summary)}`, ...lines].join('\n')}\n`;
}

/** Roff: backslashes and hyphens are escaped, and no line begins with a control character. */
function roff(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^[.']/, '\\&$&');
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
