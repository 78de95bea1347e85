// Questions to a person, asked only on a terminal; the prompts are loaded when one is asked.

import { asError, InfinitError } from '../base/errors.ts';
import { type Invocation, isInteractive } from './invocation.ts';

/** Whether the person typed the very text back. Throws `usage` when nobody can answer. */
export async function confirmByTyping(invocation: Invocation, message: string, wanted: string): Promise<boolean> {
  if (!isInteractive(invocation)) {
    throw new InfinitError('usage', 'confirmation needed, and standard input is not a terminal', {
      hint: 'give --force to go on without',
    });
  }
  const { input } = await import('@inquirer/prompts');
  return (await answered(input({ message }, streams(invocation)))) === wanted;
}

/** A secret, typed without echo. Throws `usage` when nobody can answer. */
export async function askPassphrase(invocation: Invocation, message: string): Promise<string> {
  if (!isInteractive(invocation)) {
    throw new InfinitError('usage', 'a passphrase is needed, and standard input is not a terminal');
  }
  const { password } = await import('@inquirer/prompts');
  return answered(password({ message }, streams(invocation)));
}

export interface TextQuestion {
  /** Taken for an empty answer. */
  fallback?: string;
  /** Throws what is wrong with an answer; then it is asked again. */
  check?(answer: string): void;
}

/** A line of text. Throws `usage` when nobody can answer. */
export async function askText(invocation: Invocation, message: string, question: TextQuestion = {}): Promise<string> {
  if (!isInteractive(invocation)) throw new InfinitError('usage', 'standard input is not a terminal');
  const { fallback, check } = question;
  const { input } = await import('@inquirer/prompts');
  const validate = (answer: string): true | string => {
    try {
      check?.(answer);
      return true;
    } catch (error) {
      return asError(error).message;
    }
  };
  return answered(
    input({ message, validate, ...(fallback !== undefined && { default: fallback }) }, streams(invocation)),
  );
}

/** Yes or no. Throws `usage` when nobody can answer. */
export async function askYes(invocation: Invocation, message: string): Promise<boolean> {
  if (!isInteractive(invocation)) throw new InfinitError('usage', 'standard input is not a terminal');
  const { confirm } = await import('@inquirer/prompts');
  return answered(confirm({ message, default: true }, streams(invocation)));
}

/** Questions go to standard error, so that standard output keeps only results. */
function streams(invocation: Invocation): { input: NodeJS.ReadableStream; output: NodeJS.WritableStream } {
  return { input: invocation.stdin, output: invocation.stderr as unknown as NodeJS.WritableStream };
}

/** Ctrl-C at a question is a wish to stop, not a bug. */
async function answered<T>(question: Promise<T>): Promise<T> {
  try {
    return await question;
  } catch (error) {
    throw new InfinitError('cancelled', 'cancelled', { cause: error });
  }
}
