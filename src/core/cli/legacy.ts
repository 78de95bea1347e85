// Forms of earlier versions, rewritten to today's before anything is parsed, each with one line naming what to type:
// `infinit-user --create`, `infinit user --create`, `infinit-storage`, `--storage`, `silo create --filesystem`.

import type { Invocation } from './invocation.ts';
import { type CommandRegistry, wordsAfter } from './registry.ts';

export interface Rewritten {
  argv: string[];
  /** At most one. */
  notices: string[];
}

const objectNames: Readonly<Record<string, string>> = { storage: 'silo', kvs: 'key-value-store' };
const optionNames: Readonly<Record<string, string>> = { '--storage': '--silo', '--storage-class': '--silo-class' };
const modeNames: Readonly<Record<string, string>> = { 'list-storage': 'list-silos' };

export function rewriteLegacy(invocation: Pick<Invocation, 'program' | 'argv'>, registry: CommandRegistry): Rewritten {
  const given = [...invocation.argv];
  const called = /^infinit-([a-z-]+?)(?:\.js)?$/.exec(invocation.program)?.[1];
  const argv = called === undefined ? [...given] : [called, ...given];
  const object = argv[0];
  if (object !== undefined && Object.hasOwn(objectNames, object)) argv[0] = objectNames[object] ?? object;
  const path = liftModes(argv, registry);
  const end = argv.indexOf('--') < 0 ? argv.length : argv.indexOf('--');
  for (let at = path.length; at < end; at++) argv[at] = renameOption(argv[at] ?? '');
  const changed = argv.length !== given.length || argv.some((word, at) => word !== given[at]);
  if (!changed || object === 'kvs') return { argv, notices: [] };
  return { argv, notices: [`this form is deprecated, use: ${newForm(argv, given, path.length)}`] };
}

/** Moves `--create` (and then `--filesystem`) from among the options to where modes stand. Returns the words of the path. */
function liftModes(argv: string[], registry: CommandRegistry): string[] {
  const path = argv.slice(0, 1);
  for (;;) {
    const words = wordsAfter(registry, path);
    const next = argv[path.length];
    if (words.length === 0 || next === undefined) return path;
    const renamed = modeNames[next] ?? next;
    if (words.includes(renamed)) {
      argv[path.length] = renamed;
      path.push(renamed);
      continue;
    }
    const at = argv.findIndex((word, index) => index >= path.length && modeOf(word, words) !== undefined);
    const mode = modeOf(argv[at] ?? '', words);
    if (mode === undefined || argv.slice(path.length, at).includes('--')) return path;
    argv.splice(at, 1);
    argv.splice(path.length, 0, mode);
    path.push(mode);
  }
}

function modeOf(word: string, words: readonly string[]): string | undefined {
  if (!word.startsWith('--') || word === '--help') return undefined;
  const mode = modeNames[word.slice(2)] ?? word.slice(2);
  return words.includes(mode) ? mode : undefined;
}

function renameOption(word: string): string {
  const [option = '', ...value] = word.split('=');
  return Object.hasOwn(optionNames, option) ? [optionNames[option], ...value].join('=') : word;
}

/** The words to type, with the options that changed; values stay out, they may be secrets. */
function newForm(argv: readonly string[], given: readonly string[], pathLength: number): string {
  const path = argv.slice(0, pathLength);
  const renamed = Object.entries(optionNames)
    .filter(([old]) => given.some((word) => word === old || word.startsWith(`${old}=`)))
    .map(([, name]) => name);
  return ['infinit', ...path, ...renamed].join(' ');
}
