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

export const ldapNameFlag = {
  'ldap-name': Flags.string({
    char: 'l',
    description: "one's entry in the directory (LDAP) of the hub, whose password is asked for",
    helpValue: 'DN',
  }),
};

/** Passwords and a yes, each asked for when it is needed: typed on a terminal, else the next line of standard input. */
export class Passwords {
  private readonly invocation: Invocation;
  private readonly given: string | undefined;
  private readonly word: string;
  private lines: Promise<string[]> | undefined;

  /** `given`: one's own password as an option; `-` for standard input. */
  constructor(invocation: Invocation, given: string | undefined, word = 'Password') {
    this.invocation = invocation;
    this.given = given;
    this.word = word;
  }

  /** One's own; typed twice where it is new and somebody types. Throws `usage` when there is none. */
  async own(isNew: boolean): Promise<string> {
    if (this.given !== undefined && this.given !== '-') return this.checked(this.given);
    return this.ask(this.word, isNew, this.given === '-');
  }

  /** Of the directory, which is never an option. */
  directory(): Promise<string> {
    return this.ask('Password of the directory', false, false);
  }

  /** Whether the person says y. */
  async confirm(message: string): Promise<boolean> {
    if (this.lines !== undefined || !isInteractive(this.invocation))
      return /^y(es)?$/i.test((await this.line()).trim());
    return (await import('./questions.ts')).askYes(this.invocation, message);
  }

  private async ask(message: string, isTwice: boolean, isPiped: boolean): Promise<string> {
    if (isPiped || this.lines !== undefined || !isInteractive(this.invocation)) return this.checked(await this.line());
    const { askPassphrase } = await import('./questions.ts');
    const password = await askPassphrase(this.invocation, `${message}:`);
    if (isTwice && (await askPassphrase(this.invocation, `${message} again:`)) !== password)
      throw new InfinitError('denied', 'password do not match');
    return this.checked(password);
  }

  private checked(password: string): string {
    if (password === '') throw new InfinitError('usage', `the ${this.word.toLowerCase()} is empty`);
    return password;
  }

  private async line(): Promise<string> {
    this.lines ??= this.read();
    return (await this.lines).shift() ?? '';
  }

  private async read(): Promise<string[]> {
    const { readDocument } = await import('./documents.ts');
    return (await readDocument(this.invocation, undefined, limits.keyFileBytesMax)).toString('utf8').split(/\r?\n/);
  }
}

/** Those that the options call for. */
export async function passwordsOf(
  invocation: Invocation,
  flags: { password?: string | undefined; full: boolean; 'ldap-name'?: string | undefined },
): Promise<{ password?: string; directoryPassword?: string }> {
  const passwords = new Passwords(invocation, flags.password);
  const isOwn = flags.password !== undefined || flags.full;
  return {
    ...(isOwn && { password: await passwords.own(true) }),
    ...(flags['ldap-name'] !== undefined && { directoryPassword: await passwords.directory() }),
  };
}
