// A very small shell for transcripts: words with quotes, `NAME=value` before a command, `|`, `<`, `<<<`, `>`. The only program is
// `infinit`, run in process; files are real ones in a throw-away folder, homes live on the disk of a simulated host.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { registry } from '../../src/commands/registry.ts';
import type { Invocation, Parts } from '../../src/core/cli/invocation.ts';
import { main } from '../../src/core/cli/main.ts';
import type { HubConnection } from '../../src/core/hub/hub.ts';
import { HubApi } from '../../src/core/hub/server/api.ts';
import { SqlHubStore } from '../../src/core/hub/server/sql-store.ts';
import type { Runtime } from '../../src/core/runtime/runtime.ts';
import { openSqlite, SerialDatabase } from '../../src/core/runtime/system/databases.ts';
import { createWorld, type World } from '../simulator/runtime/world.ts';
import { FakeRunning } from './fake-running.ts';
import { FakeSupervising } from './fake-supervising.ts';

export interface Result {
  stdout: Buffer;
  stderr: string;
  code: number;
}

interface Stage {
  env: Record<string, string>;
  words: string[];
  input?: string;
  /** What stands on standard input, `\n` between lines. */
  text?: string;
  output?: string;
}

export const root = new URL('../..', import.meta.url).pathname;
/** Some ten seconds. */
const talkTurnsMax = 5000;
/** Wall clock of the simulated host, so that expiry dates stand still: 2026-01-01. */
const nowMs = 1_767_225_600_000;

export class Shell {
  readonly folder = mkdtempSync(join(tmpdir(), 'infinit-commands-'));
  readonly env: Record<string, string> = { INFINIT_HOME: '/home', INFINIT_USER: 'alice' };
  private readonly world: World;
  private readonly runtime: Runtime;
  private readonly running = new FakeRunning();
  private readonly supervising = new FakeSupervising(this.running);
  private hubApi: Promise<HubApi> | undefined;

  constructor(seed: string) {
    this.world = createWorld({ seed });
    const { runtime } = this.world.host('device');
    this.runtime = { ...runtime, clock: Object.assign(Object.create(runtime.clock), { now: () => nowMs }) };
  }

  /** Runs a line; the result is that of its last command, with the error texts of all. */
  async run(line: string): Promise<Result> {
    let stdin: Buffer = Buffer.alloc(0);
    let stderr = '';
    let code = 0;
    for (const stage of parseLine(line)) {
      if (stage.text !== undefined) stdin = Buffer.from(`${stage.text.replaceAll('\\n', '\n')}\n`);
      if (stage.input !== undefined) stdin = readFileSync(join(this.folder, stage.input));
      const result = await this.infinit(stage.words, stage.env, stdin);
      stderr += result.stderr;
      code = result.code;
      stdin = result.stdout;
      if (stage.output === undefined) continue;
      writeFileSync(join(this.folder, stage.output), result.stdout);
      stdin = Buffer.alloc(0);
    }
    return { stdout: stdin, stderr, code };
  }

  /** One call in process. */
  async infinit(
    argv: readonly string[],
    env: Record<string, string> = {},
    stdin: Buffer = Buffer.alloc(0),
  ): Promise<Result> {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const call = main(this.invocation(argv, env, stdin, stdout, stderr), registry);
    const code = await this.drive(call);
    return { stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('utf8'), code };
  }

  /** One in memory, with the clock of the host. */
  private async hub(): Promise<HubConnection> {
    const now = () => nowMs;
    this.hubApi ??= SqlHubStore.open(new SerialDatabase(await openSqlite(':memory:'))).then((store) =>
      HubApi.open({ runtime: { ...this.runtime, clock: { now, monotonic: now } }, store }),
    );
    const api = await this.hubApi;
    const host = 'hub.example.org';
    return { host, isExposed: false, exchange: (request) => api.handle({ ...request, host, remote: '192.0.2.1' }) };
  }

  /** One call at a terminal: each answer is typed once its question is shown. All that was shown is in `stderr`. */
  async talk(argv: readonly string[], answers: readonly (readonly [RegExp, string])[]): Promise<Result> {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const stderr = Object.assign(new PassThrough(), { isTTY: true, columns: 100 });
    // Prompts end what they wrote to, which terminals do not mind.
    stderr.end = () => stderr;
    const stdout: Buffer[] = [];
    const left = [...answers];
    let shown = '';
    let unread = '';
    let turns = 0;
    stderr.on('data', (piece: Buffer) => {
      shown += piece;
      unread += piece;
      const [question, text = ''] = left[0] ?? [];
      if (question === undefined || !question.test(unread)) return;
      left.shift();
      unread = '';
      setTimeout(() => stdin.write(text), 50);
    });
    const invocation = { ...this.invocation(argv, {}, Buffer.alloc(0), stdout, []), stdin, stderr };
    const code = await this.drive(main(invocation, registry), () => {
      if (++turns > talkTurnsMax) throw new Error(`waits for ${left[0]?.[0] ?? 'nothing'}:\n${shown}`);
    });
    if (left.length > 0) throw new Error(`never asked: ${left[0]?.[0]}\n${shown}`);
    return { stdout: Buffer.concat(stdout), stderr: shown, code };
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private invocation(
    argv: readonly string[],
    env: Record<string, string>,
    stdin: Buffer,
    stdout: Buffer[],
    stderr: Buffer[],
  ): Invocation {
    const { runtime, running, supervising } = this;
    const parts: Parts = {
      runtime: async () => runtime,
      running: async () => running.bound(),
      supervising: async () => supervising.bound(),
      hub: () => this.hub(),
    };
    const collect = (pieces: Buffer[]) => ({
      write: (data: string | Uint8Array) => pieces.push(Buffer.from(data as Uint8Array)),
    });
    return {
      parts,
      program: 'infinit',
      argv,
      env: { ...this.env, ...env },
      login: 'login',
      isRoot: false,
      homeDirectory: '/root',
      temporaryDirectory: '/tmp',
      workingDirectory: this.folder,
      root,
      version: '1.0.0',
      stdin: Readable.from(stdin.length > 0 ? [stdin] : []),
      stdout: collect(stdout),
      stderr: collect(stderr),
      stopRequested: () => AbortSignal.timeout(20),
      forceRequested: () => new AbortController().signal,
    };
  }

  /** Lets virtual time pass while the call waits for the simulated disk. */
  private async drive<T>(call: Promise<T>, watch?: () => void): Promise<T> {
    let done = false;
    const finished = () => {
      done = true;
    };
    call.then(finished, finished);
    while (!done) {
      await this.world.runFor(10);
      if (watch === undefined) continue;
      // A terminal lives in real time.
      await new Promise((resolve) => setTimeout(resolve, 1));
      watch();
    }
    return call;
  }
}

function parseLine(line: string): Stage[] {
  const stages: Stage[] = [{ env: {}, words: [] }];
  const tokens = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)];
  for (let at = 0; at < tokens.length; at++) {
    const [, double, single, bare] = tokens[at] as RegExpMatchArray;
    const stage = stages.at(-1) as Stage;
    const assignment = bare?.match(/^([A-Z_]+)=(.*)$/);
    if (bare === '|') stages.push({ env: {}, words: [] });
    else if (bare === '<<<') stage.text = tokens[++at]?.[1] ?? '';
    else if (bare === '<') stage.input = tokens[++at]?.[0] ?? '';
    else if (bare === '>') stage.output = tokens[++at]?.[0] ?? '';
    else if (assignment && stage.words.length === 0) stage.env[assignment[1] as string] = assignment[2] as string;
    else stage.words.push(double ?? single ?? bare ?? '');
  }
  return stages.map((stage) => ({ ...stage, words: stage.words.slice(1) }));
}
