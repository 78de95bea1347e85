// How a failed command speaks: text on stderr, with `--script` also JSON on stdout, and the exit code.

import { asError, type InfinitError } from '../base/errors.ts';
import { exitCodes } from './exit-codes.ts';
import type { Invocation } from './invocation.ts';
import type { Paint } from './paint.ts';
import { printable, printableJson } from './printable.ts';

/** Reports the error and returns the exit code. `path` is the object and mode understood so far. */
export function reportFailure(thrown: unknown, path: readonly string[], invocation: Invocation, paint: Paint): number {
  const error = asError(thrown);
  if (wantsScript(invocation.argv)) {
    const { kind, message, hint, data } = error;
    const json = { error: { kind, message, ...(hint === undefined ? {} : { hint }), ...(data ? { data } : {}) } };
    invocation.stdout.write(`${printableJson(json)}\n`);
  }
  invocation.stderr.write(printable(failureText(error, path, paint)));
  if (invocation.env.INFINIT_BACKTRACE) invocation.stderr.write(`${printable(backtrace(error))}\n`);
  return exitCodes[error.kind];
}

/** Whether the words ask for JSON; looked up without parsing, because errors of parsing are reported in JSON as well. */
export function wantsScript(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv
    .slice(0, end < 0 ? argv.length : end)
    .some((word) => word === '--script' || word === '--json' || word === '-s');
}

function failureText(error: InfinitError, path: readonly string[], paint: Paint): string {
  const hint = error.hint === undefined ? '' : `${error.hint}\n`;
  if (error.kind === 'usage') {
    const help = ['infinit', ...path, '--help'].join(' ');
    return `infinit: ${paint.red('command line error')}: ${error.message}\n${hint}Try '${help}' for more information.\n`;
  }
  const bug = error.kind === 'internal' && error.hint === undefined;
  const advice = bug ? 'This is a bug of infinit; INFINIT_BACKTRACE=1 shows where.\n' : hint;
  return `infinit: ${paint.red('fatal error')}: ${error.message}\n${advice}`;
}

function backtrace(error: Error): string {
  const cause = error.cause instanceof Error ? `\nCaused by: ${backtrace(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
