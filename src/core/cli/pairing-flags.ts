// What `device transmit` and `device receive` share: the kind of thing that goes from one device to another, and its passphrase.

import { Flags } from '@oclif/core';
import { InfinitError } from '../base/errors.ts';
import { parsing } from './arguments.ts';
import type { Invocation } from './invocation.ts';
import { Passwords } from './user-hub-flags.ts';

export const pairingFlags = {
  user: Flags.boolean({ char: 'u', description: 'the identity of a user' }),
  passphrase: Flags.custom<string>({
    description: 'only -: read a line of standard input even on a terminal (default: ask there, else read)',
    helpValue: '-',
    parse: parsing(standardInput),
  })(),
};

/** Asked on a terminal, else the first line of standard input. */
export function readPairingPassphrase(invocation: Invocation, given: string | undefined): Promise<string> {
  return new Passwords(invocation, given, 'Passphrase').own(false);
}

/** Throws `usage` unless something is said to go. */
export function checkKind(user: boolean): void {
  if (!user) throw new InfinitError('usage', 'missing option: --user', { hint: 'only users go from device to device' });
}

/** Words of a process are seen by everybody on the machine. */
function standardInput(text: string): string {
  if (text === '-') return text;
  throw new InfinitError('usage', 'a passphrase is no option: others of this machine could see it', {
    hint: 'write it to standard input, or type it when asked',
  });
}
