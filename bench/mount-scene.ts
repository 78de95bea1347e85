// Where benchmarks of mounts happen: a throw-away folder, the processes started for them, and the steps that undo all of it,
// whether the run ends, fails or is interrupted.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sleep } from './measure.ts';

export class Scene {
  readonly folder: string;
  private readonly temporary = process.env.TMPDIR;
  private readonly controller = new AbortController();
  private readonly steps: [what: string, undo: () => Promise<unknown>][] = [];

  /**
   * From here on an interrupt ends what waits for `signal`; whoever made the scene closes it then. Temporary files of what is
   * started are in its folder, too.
   */
  constructor(parent = tmpdir()) {
    this.folder = mkdtempSync(join(resolve(parent), 'infinit-mount-'));
    process.env.TMPDIR = this.folder;
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(name, () => this.controller.abort(new Error(`stopped by ${name}`)));
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Steps are taken at the end, the last first, each whatever became of the others. */
  atEnd(what: string, undo: () => Promise<unknown>): void {
    this.steps.push([what, undo]);
  }

  async close(): Promise<void> {
    for (const [what, undo] of this.steps.reverse())
      await undo().catch((error) => warn(`${what}: ${error instanceof Error ? error.message : error}`));
    if (this.temporary === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = this.temporary;
    for (const place of mountsUnder(this.folder)) await unmount(place).catch(() => {});
    const left = mountsUnder(this.folder);
    // What is behind a mount is not ours to remove.
    if (left.length > 0) warn(`still mounted, so ${this.folder} stays: ${left.join(', ')}`);
    else rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

export interface RunOptions {
  signal?: AbortSignal;
  /** In milliseconds; an hour unless said. */
  timeoutMs?: number;
  input?: Iterable<Buffer>;
}

/** Runs a program that must succeed and resolves with its output. It and its children are killed on time-out or `signal`. */
export function run(program: string, words: readonly string[], options: RunOptions = {}): Promise<string> {
  const { signal, timeoutMs = 3_600_000, input } = options;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const name = [program, ...words].join(' ').slice(0, 200);
    // A group of its own: an interrupt at the terminal is handled here alone, and its children go with it.
    const child = spawn(program, words, { detached: true, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    let cause: Error | undefined;
    const kill = (reason: Error) => {
      cause ??= reason;
      if (child.pid !== undefined) killGroup(child.pid);
    };
    const timer = setTimeout(() => kill(new Error(`${name}: not done within ${timeoutMs / 1000} s`)), timeoutMs);
    const interrupted = () => kill(signal?.reason as Error);
    signal?.addEventListener('abort', interrupted);
    child.stdout.on('data', (part: Buffer) => (stdout += part.toString()));
    child.stderr.on('data', (part: Buffer) => (stderr += part.toString()));
    child.stdin.on('error', () => {}); // it may end without reading
    child.on('error', (error) => (cause ??= error));
    child.on('close', (code) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', interrupted);
      if (cause !== undefined) reject(cause);
      else if (code === 0) resolve(stdout);
      else reject(new Error(`${name}: exit ${code}\n${stdout.slice(-2000)}${stderr.slice(-2000)}`.trim()));
    });
    feed(child.stdin, input).catch(kill);
  });
}

/** The program may end without reading all of it. */
async function feed(stdin: Writable, input: Iterable<Buffer> = []): Promise<void> {
  const gone = ['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'];
  await pipeline(Readable.from(input), stdin).catch((error: NodeJS.ErrnoException) => {
    if (!gone.includes(error.code ?? '')) throw error;
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Tries until it holds; fails after that long, or when interrupted. */
export async function until(
  what: string,
  timeoutMs: number,
  check: () => boolean | Promise<boolean>,
  signal?: AbortSignal,
): Promise<void> {
  for (const start = performance.now(); !(await check()); await sleep(50)) {
    signal?.throwIfAborted();
    if (performance.now() - start > timeoutMs) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
  }
}

/** Places inside a folder where something is mounted, the innermost first. */
export function mountsUnder(folder: string): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) =>
      (line.split(' ')[1] ?? '').replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(parseInt(code, 8))),
    )
    .filter((place) => place === folder || place.startsWith(`${folder}/`))
    .reverse();
}

export function isMounted(place: string): boolean {
  return mountsUnder(place).includes(place);
}

/** Unmounts if anything is mounted there: as people do, and where that fails or hangs, away from sight at once. */
export async function unmount(place: string): Promise<void> {
  if (!isMounted(place)) return;
  await run('umount', [place], { timeoutMs: 20_000 }).catch(() => run('umount', ['-l', place], { timeoutMs: 20_000 }));
}

/** A process and all its descendants that live. */
export function family(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean);
    return [pid, ...children.flatMap((child) => family(Number(child)))];
  } catch {
    return [];
  }
}

export function warn(line: string): void {
  process.stderr.write(`${line}\n`);
}
