// Colours: only on a terminal, and never with NO_COLOR. Elsewhere the text is left as it is.

import type { Invocation, Output } from './invocation.ts';

export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  green(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
}

export const plain: Paint = { bold: same, dim: same, green: same, red: same, yellow: same };

export async function paintFor(output: Output, invocation: Invocation): Promise<Paint> {
  if (!output.isTTY || invocation.env.NO_COLOR || invocation.env.TERM === 'dumb') return plain;
  const { Chalk } = await import('chalk');
  return new Chalk({ level: 1 });
}

function same(text: string): string {
  return text;
}
