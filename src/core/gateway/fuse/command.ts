// A system program run to its end, in plain English. Its output is small.

import { spawn } from 'node:child_process';

const outputBytesMax = 16 * 1024;

export interface Ended {
  /** Undefined when the program does not exist or was killed. */
  code: number | undefined;
  missing: boolean;
  stderr: string;
}

export interface CommandOptions {
  /** A descriptor it inherits, as its number 3. */
  descriptor?: number;
  environment?: Record<string, string>;
  timeoutMs?: number;
}

export function runCommand(program: string, words: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  const { descriptor, environment, timeoutMs } = options;
  const child = spawn(program, words, {
    stdio: ['ignore', 'ignore', 'pipe', ...(descriptor === undefined ? [] : [descriptor])],
    env: { ...process.env, LC_ALL: 'C', ...environment },
    ...(timeoutMs !== undefined && { timeout: timeoutMs, killSignal: 'SIGKILL' }),
  });
  let stderr = '';
  child.stderr?.on('data', (piece: Buffer) => {
    if (stderr.length < outputBytesMax) stderr += piece.toString('utf8');
  });
  return new Promise((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      resolve({ code: undefined, missing: error.code === 'ENOENT', stderr: error.message });
    });
    child.on('close', (code) => resolve({ code: code ?? undefined, missing: false, stderr: stderr.trim() }));
  });
}
