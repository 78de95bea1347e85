// Words of the command line made ready for the parser of oclif: options are checked for existence and arguments with the texts
// scripts know, booleans given by value (`--cache=false`) become plain, and what the parser throws becomes a usage error.

import type { Command } from '@oclif/core';
import { InfinitError, isError } from '../base/errors.ts';

type FlagDefinitions = Readonly<Record<string, Command.Flag.Any>>;

const yes = new Set(['true', 'yes', '1']);
const no = new Set(['false', 'no', '0']);

/** Throws `usage` for an unknown, missing or excluded option, and for a missing argument of one. */
export function normaliseWords(argv: readonly string[], definitions: FlagDefinitions): string[] {
  const flags = named(definitions);
  const words: string[] = [];
  const given = new Set<string>();
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] as string;
    if (word === '--') {
      words.push(...argv.slice(at));
      break;
    }
    if (!isOption(word)) {
      words.push(word);
      continue;
    }
    const option = word.startsWith('--') ? longOption(word, flags) : shortOptions(word, flags);
    words.push(...option.words);
    for (const name of option.names) given.add(name);
    if (option.needs === undefined) continue;
    const value = argv[++at];
    if (value === undefined || isKnownOption(value, flags)) throw missingArgument(option.needs);
    words.push(value);
  }
  checkTogether(given, flags);
  return words;
}

/** The parser of oclif names flags only while it parses. */
function named(flags: FlagDefinitions): FlagDefinitions {
  return Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, { ...flag, name }]));
}

function checkTogether(given: ReadonlySet<string>, flags: FlagDefinitions): void {
  for (const [name, flag] of Object.entries(flags)) {
    if (flag.required && !given.has(name)) throw new InfinitError('usage', `missing option: --${name}`);
    const other = given.has(name) ? flag.exclusive?.find((each) => given.has(each)) : undefined;
    if (other !== undefined) throw new InfinitError('usage', `options exclude each other: --${name}, --${other}`);
  }
}

interface Option {
  words: string[];
  /** Options these words turn on or set. */
  names: string[];
  /** The option whose argument is the next word. */
  needs?: string;
}

function longOption(word: string, flags: FlagDefinitions): Option {
  const [option, value] = splitOnce(word, '=');
  const name = option.slice(2);
  const negated = name.startsWith('no-') ? flagNamed(name.slice(3), flags) : undefined;
  const flag = flagNamed(name, flags) ?? (negated?.type === 'boolean' && negated.allowNo ? negated : undefined);
  if (!flag) throw new InfinitError('usage', `unknown option: ${option}`);
  const names = [flag.name];
  if (flag.type === 'option') {
    return value === undefined ? { words: [option], names, needs: option } : { words: [word], names };
  }
  if (value === undefined || yes.has(value)) return { words: [option], names };
  if (!no.has(value)) {
    throw new InfinitError('usage', `invalid value for ${option}: ${value}`, { hint: 'give true or false' });
  }
  return { words: flag.allowNo && !name.startsWith('no-') ? [`--no-${name}`] : [], names: [] };
}

/** `-fn alice`: letters of booleans, then at most one that takes the rest or the next word. */
function shortOptions(word: string, flags: FlagDefinitions): Option {
  const names: string[] = [];
  for (let at = 1; at < word.length; at++) {
    const flag = Object.values(flags).find((candidate) => candidate.char === word[at]);
    if (!flag) throw new InfinitError('usage', `unknown option: -${word[at]}`);
    names.push(flag.name);
    if (flag.type !== 'option') continue;
    return at === word.length - 1 ? { words: [word], names, needs: `--${flag.name}` } : { words: [word], names };
  }
  return { words: [word], names };
}

/** What the parser of oclif throws, as a usage error with our texts. */
export function asUsageError(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || isError(thrown)) return thrown;
  if (isError(thrown.cause)) return thrown.cause;
  if ('args' in thrown && Array.isArray(thrown.args) && thrown.args.length > 0) {
    const [first] = thrown.args as [string | { name: string }];
    const message = typeof first === 'string' ? `unexpected argument: ${first}` : `missing argument: ${first.name}`;
    return new InfinitError('usage', message, { cause: thrown });
  }
  if (!('oclif' in thrown)) return thrown;
  return new InfinitError('usage', thrown.message.split('\n', 1)[0] ?? 'bad arguments', { cause: thrown });
}

/**
 * For the `parse` of an option: oclif rewrites the message of whatever is thrown there, so the error travels as a cause.
 */
export function parsing<T>(parse: (text: string) => T): (text: string) => Promise<T> {
  return async (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new Error('bad value', { cause: error });
    }
  };
}

function isOption(word: string): boolean {
  return word.length > 1 && word.startsWith('-');
}

function isKnownOption(word: string, flags: FlagDefinitions): boolean {
  if (word.startsWith('--')) return flagNamed(splitOnce(word, '=')[0].slice(2), flags) !== undefined;
  return isOption(word) && Object.values(flags).some((flag) => flag.char === word[1]);
}

function flagNamed(name: string, flags: FlagDefinitions): Command.Flag.Any | undefined {
  return Object.hasOwn(flags, name)
    ? flags[name]
    : Object.values(flags).find((flag) => flag.aliases?.includes(name) ?? false);
}

function missingArgument(option: string): InfinitError {
  return new InfinitError('usage', `option requires an argument: ${option}`);
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
