// Options of commands that make users and put them on the hub: `user create`, `signup`, `push`.

import { Flags } from '@oclif/core';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type Invocation, isInteractive } from './invocation.ts';

export const keyFlag = {
  key: Flags.string({ char: 'k', description: 'existing Ed25519 key (OpenSSH or PEM)', helpValue: 'FILE' }),
};
export const personFlags = {
  email: Flags.string({ char: 'e', description: 'e-mail address', helpValue: 'EMAIL' }),
  fullname: Flags.string({ description: 'full name', helpValue: 'NAME' }),
};
export const passwordFlag = {
  password: Flags.string({
    char: 'P',
    description: 'password of the hub; others of this machine can see it: better typed when asked, or `-` and piped in',
    helpValue: 'PASSWORD',
  }),
};
export const identityFlags = {
  ...passwordFlag,
  full: Flags.boolean({ description: 'leave the private key on the hub, sealed under the password, for `user login`' }),
};

/** The password given, piped in or asked for; undefined where neither option asks for one. */
export async function passwordOf(
  invocation: Invocation,
  { password, full }: { password?: string | undefined; full: boolean },
): Promise<string | undefined> {
  if (password === undefined && !full) return undefined;
  return readPassword(invocation, password, { twice: true });
}

/** Typed twice where that is asked and somebody types. Throws `usage` when there is none. */
export async function readPassword(
  invocation: Invocation,
  given: string | undefined,
  { twice, word = 'Password' }: { twice: boolean; word?: string },
): Promise<string> {
  const password = given !== undefined && given !== '-' ? given : await askOrRead(invocation, given, twice, word);
  if (password === '') throw new InfinitError('usage', `the ${word.toLowerCase()} is empty`);
  return password;
}

async function askOrRead(
  invocation: Invocation,
  given: string | undefined,
  twice: boolean,
  word: string,
): Promise<string> {
  if (given === '-' || !isInteractive(invocation)) {
    const { readDocument } = await import('./documents.ts');
    const text = (await readDocument(invocation, undefined, limits.keyFileBytesMax)).toString('utf8');
    return text.split(/\r?\n/, 1)[0] ?? '';
  }
  const { askPassphrase } = await import('./questions.ts');
  const password = await askPassphrase(invocation, `${word}:`);
  if (twice && (await askPassphrase(invocation, `${word} again:`)) !== password)
    throw new InfinitError('denied', 'password do not match');
  return password;
}
