// A command in a detached child: it goes on when its parent ends, however that ends. The child tells by Node's channel between
// processes once it serves, or why it fails; its output goes to a log file.

import { spawn } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asError, type ErrorKind, InfinitError } from '../base/errors.ts';

interface Report<T> {
  ready?: T;
  failure?: { kind: ErrorKind; message: string; hint?: string };
}

/** A detached child that was started. */
export interface Detached<T> {
  readonly pid: number;
  /** What it tells once it serves; rejects with its error. */
  readonly serving: Promise<T>;
  /** How it ended, in words. Known while this process lives. */
  readonly ended: Promise<string>;
}

export interface DetachOptions {
  /** Standard output and error are appended to it; made with its folder. */
  logFile: string;
  /** Where it works; here by default. */
  directory?: string | undefined;
  /** In place of this process's. */
  env?: NodeJS.ProcessEnv | undefined;
}

/** Starts `infinit` with the words, as a leader of its own session. Throws `unavailable` when that cannot be. */
export async function detach<T>(argv: readonly string[], options: DetachOptions): Promise<Detached<T>> {
  await mkdir(dirname(options.logFile), { recursive: true, mode: 0o700 });
  const program = process.argv[1] ?? fileURLToPath(import.meta.url);
  const log = await open(options.logFile, 'a', 0o600);
  try {
    const child = spawn(process.execPath, [...process.execArgv, program, ...argv], {
      detached: true,
      stdio: ['ignore', log.fd, log.fd, 'ipc'],
      ...(options.directory !== undefined && { cwd: options.directory }),
      ...(options.env !== undefined && { env: options.env }),
    });
    const started = new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) =>
        reject(new InfinitError('unavailable', 'the process cannot be started', { cause })),
      );
    });
    const ended = new Promise<string>((resolve) =>
      child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`)),
    );
    const serving = new Promise<T>((resolve, reject) => {
      void ended.then((how) => {
        const hint = `see ${options.logFile}`;
        reject(new InfinitError('unavailable', `the process ended with ${how} before it served`, { hint }));
      });
      child.once('message', (message) => {
        const report = message as Report<T>;
        child.disconnect();
        child.unref();
        if (report.failure === undefined) resolve(report.ready as T);
        else reject(new InfinitError(report.failure.kind, report.failure.message, { ...hintOf(report.failure.hint) }));
      });
    });
    serving.catch(() => {});
    await started;
    return { pid: child.pid as number, serving, ended };
  } finally {
    await log.close();
  }
}

/** Starts the words as a detached child and resolves with what it tells once it serves. Throws the child's error. */
export async function startDaemon<T>(argv: readonly string[], logFile: string): Promise<T> {
  return (await detach<T>(argv, { logFile })).serving;
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

/** A parent that is gone by now needs no report. */
function report(message: Report<unknown>): void {
  if (process.send === undefined || !process.connected) return;
  process.send(message, undefined, undefined, () => {});
}
