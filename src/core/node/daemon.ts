// `--daemon`: the same command in a detached child. The parent waits until the child serves or fails, then ends with the child's
// answer. The child tells by Node's channel between processes; its output goes to a log file.

import { spawn } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asError, type ErrorKind, InfinitError } from '../base/errors.ts';

interface Report<T> {
  ready?: T;
  failure?: { kind: ErrorKind; message: string; hint?: string };
}

/** Starts the words as a detached child and resolves with what it tells once it serves. Throws the child's error. */
export async function startDaemon<T>(program: string, argv: readonly string[], logFile: string): Promise<T> {
  await mkdir(dirname(logFile), { recursive: true, mode: 0o700 });
  const log = await open(logFile, 'a', 0o600);
  try {
    const child = spawn(process.execPath, [...process.execArgv, program, ...argv], {
      detached: true,
      stdio: ['ignore', log.fd, log.fd, 'ipc'],
    });
    return await new Promise<T>((resolve, reject) => {
      child.once('error', (cause) =>
        reject(new InfinitError('unavailable', 'the daemon cannot be started', { cause })),
      );
      child.once('exit', (code, signal) => {
        const how = signal ?? `code ${code}`;
        reject(
          new InfinitError('unavailable', `the daemon ended with ${how} before it served`, { hint: `see ${logFile}` }),
        );
      });
      child.once('message', (message) => {
        const report = message as Report<T>;
        child.removeAllListeners('exit');
        child.disconnect();
        child.unref();
        if (report.failure === undefined) resolve(report.ready as T);
        else reject(new InfinitError(report.failure.kind, report.failure.message, { ...hintOf(report.failure.hint) }));
      });
    });
  } finally {
    await log.close();
  }
}

function hintOf(hint: string | undefined): { hint?: string } {
  return hint === undefined ? {} : { hint };
}

/** Tells the parent that waits, if there is one, that this process serves. */
export function reportReady(facts: unknown): void {
  report({ ready: facts });
}

/** Tells the parent that waits, if there is one, why this process does not serve. */
export function reportFailure(cause: unknown): void {
  const error = asError(cause);
  report({ failure: { kind: error.kind, message: error.message, ...hintOf(error.hint) } });
}

function report(message: Report<unknown>): void {
  if (process.send === undefined || !process.connected) return;
  process.send(message);
}
