// Secrets a person types: asked on a terminal, else read from standard input, one a line in the order of the questions. They
// are never options, because everybody on the device sees those.

import { InfinitError } from '../base/errors.ts';
import { readDocument } from './documents.ts';
import { type Invocation, isInteractive } from './invocation.ts';
import { askPassphrase, askText } from './questions.ts';

export interface SecretQuestion {
  message: string;
  /** Shown while it is typed: it is no secret itself. */
  shown?: boolean;
  /** Told on a terminal before it is asked, by the answers so far. */
  before?: (answers: readonly string[]) => string;
  /** Throws `usage`. */
  check?: (answer: string) => void;
}

const inputBytesMax = 64 * 1024;

/** An answer to each question. Throws `usage` when there are too few lines. */
export async function askSecrets(invocation: Invocation, questions: readonly SecretQuestion[]): Promise<string[]> {
  const answers = isInteractive(invocation) ? await asked(invocation, questions) : await read(invocation, questions);
  for (const [at, { check }] of questions.entries()) check?.(answers[at] as string);
  return answers;
}

async function asked(invocation: Invocation, questions: readonly SecretQuestion[]): Promise<string[]> {
  const answers: string[] = [];
  for (const { message, shown, before } of questions) {
    if (before !== undefined) invocation.stderr.write(`${before(answers)}\n`);
    answers.push((await (shown ? askText : askPassphrase)(invocation, `${message}:`)).trim());
  }
  return answers;
}

async function read(invocation: Invocation, questions: readonly SecretQuestion[]): Promise<string[]> {
  const text = (await readDocument(invocation, undefined, inputBytesMax)).toString('utf8');
  const lines = text.split('\n').map((line) => line.trim());
  return questions.map(({ message }, at) => {
    const line = lines[at];
    if (line !== undefined && line !== '') return line;
    throw new InfinitError('usage', `missing on standard input: ${message}`, {
      hint: `write ${questions.map((question) => question.message).join(', ')}, one a line`,
    });
  });
}
