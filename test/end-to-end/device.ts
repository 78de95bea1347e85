// Devices for end-to-end tests: each has its own home and runtime folder, and runs the real program as a process.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Home } from '../../src/core/descriptor/descriptor.ts';

const program = fileURLToPath(new URL('../../bin/infinit.js', import.meta.url));
const startTimeoutMs = 60_000;

export interface Outcome {
  code: number;
  stdout: Buffer;
  stderr: string;
}

/** A folder for one test; removed with all it holds by `close`, which also kills what still runs, daemons too. */
export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), 'infinit-e2e-'));
  private readonly devices: Device[] = [];

  device(name: string, user: string, place?: Place): Device {
    const device = new Device(join(this.folder, name), name, user, place);
    this.devices.push(device);
    return device;
  }

  /** What is mounted below this test's folder. */
  mountpoints(): string[] {
    return mountsBelow(this.folder).map(({ mountpoint }) => mountpoint);
  }

  async close(): Promise<void> {
    for (const device of this.devices) await device.killAll();
    for (const mountpoint of this.mountpoints()) await run('umount', ['--lazy', mountpoint]).catch(() => {});
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

export interface MountFacts {
  mountpoint: string;
  source: string;
}

/** What is mounted now below a folder; asks the kernel's table, not the mounts. */
export function mountsBelow(folder: string): MountFacts[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, mountpoint]) => mountpoint?.startsWith(`${folder}/`))
    .map(([source = '', mountpoint = '']) => ({ source, mountpoint }));
}

/** Runs another program in a process of its own; its output. Never touches a mount from this process. */
export async function run(program: string, words: readonly string[], input?: string | Buffer): Promise<Buffer> {
  const child = spawn(program, words, { stdio: 'pipe' });
  const out: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (part: Buffer) => out.push(part));
  child.stderr.on('data', (part: Buffer) => (stderr += part.toString()));
  child.stdin.on('error', () => {}); // it may end without reading
  child.stdin.end(input ?? '');
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  if (code !== 0) throw new Error(`${program} ${words.join(' ')}: ${signal ?? `exit ${code}`}\n${stderr.slice(-4000)}`);
  return Buffer.concat(out);
}

/** The same through the shell. */
export async function shell(script: string, input?: string | Buffer): Promise<string> {
  return (await run('bash', ['-euo', 'pipefail', '-c', script], input)).toString();
}

/** Where the programs of a device run: words before their command, and the address they listen on. */
export interface Place {
  readonly enter: readonly string[];
  readonly address: string;
}

export class Device {
  readonly home: string;
  readonly name: string;
  readonly user: string;
  readonly place: Place;
  /** Further variables of its programs. */
  environment: Readonly<Record<string, string>> = {};
  private readonly children = new Set<ChildProcess>();

  constructor(home: string, name: string, user: string, place: Place = { enter: [], address: '127.0.0.1' }) {
    this.home = home;
    this.name = name;
    this.user = user;
    this.place = place;
    mkdirSync(this.runtime, { recursive: true, mode: 0o700 });
  }

  get runtime(): string {
    return join(this.home, 'run');
  }

  get folders(): Home {
    const folder = (name: string) => join(this.home, name, 'infinit/filesystem');
    return {
      data: folder('.local/share'),
      cache: folder('.cache'),
      state: folder('.local/state'),
      config: folder('.config'),
      runtime: this.runtime,
    };
  }

  siloFolder(silo: string): string {
    return join(this.folders.data, 'blocks', silo);
  }

  private spawn(words: readonly string[], programName = program): ChildProcess {
    return this.launch([process.execPath, programName, ...words]);
  }

  private launch(words: readonly string[], cwd?: string): ChildProcess {
    const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('INFINIT_')));
    const home = { INFINIT_HOME: this.home, INFINIT_RUNTIME_DIR: this.runtime, INFINIT_USER: this.user };
    const env = { ...own, ...home, ...this.environment };
    const [first = '', ...rest] = [...this.place.enter, ...words];
    const child = spawn(first, rest, { env, stdio: 'pipe', cwd });
    this.children.add(child);
    child.once('exit', () => this.children.delete(child));
    child.stdin?.on('error', () => {}); // it may end without reading
    return child;
  }

  /** Runs a command to its end, whatever its exit code. */
  attempt(words: readonly string[], input?: string | Buffer, programName?: string): Promise<Outcome> {
    return outcomeOf(this.spawn(words, programName), input);
  }

  /** A line typed into a shell in the device's home, run to its end; its output without the last newline. Must succeed. */
  async type(line: string, input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.typeAnyhow(line, input);
    if (code !== 0) throw new Error(`${this.name}: ${line}: exit ${code}\n${stdout}\n${stderr}`);
    return stdout.toString().replace(/\n$/, '');
  }

  /** The same, whatever its exit code. */
  typeAnyhow(line: string, input?: string): Promise<Outcome> {
    return outcomeOf(this.shell(line), input);
  }

  /** A line typed into a shell there whose command goes on, once it has printed what matches. */
  async typeAndWait(line: string, ready: RegExp): Promise<Running> {
    const running = new Running(this.shell(line));
    await running.waitFor(ready, startTimeoutMs);
    return running;
  }

  private shell(line: string): ChildProcess {
    return this.launch(['bash', '-euo', 'pipefail', '-c', line], this.home);
  }

  /** Runs a command that must succeed; its output without the last newline. */
  async run(words: readonly string[], input?: string | Buffer): Promise<string> {
    const { code, stdout, stderr } = await this.attempt(words, input);
    if (code !== 0) throw new Error(`${this.name}: infinit ${words.join(' ')}: exit ${code}\n${stdout}\n${stderr}`);
    return stdout.toString().replace(/\n$/, '');
  }

  /** Starts a command that goes on. */
  begin(words: readonly string[]): Running {
    return new Running(this.spawn(words));
  }

  /** Starts a command that goes on, and waits for a line of its output that matches. */
  async start(words: readonly string[], ready: RegExp): Promise<Running> {
    const running = this.begin(words);
    await running.waitFor(ready, startTimeoutMs);
    return running;
  }

  /** Starts `network run` on the address of its place, loopback usually; the process, with its endpoint. */
  async startNode(network: string, options: readonly string[] = []): Promise<Running & { endpoint: string }> {
    const file = join(this.runtime, 'endpoints');
    rmSync(file, { force: true });
    const words = ['network', 'run', network, '--listen', this.place.address, '--endpoints-file', file, ...options];
    const running = await this.start(words, /^Running network/m);
    const endpoint = existsSync(file) ? (readFileSync(file, 'utf8').trim().split('\n')[0] as string) : '';
    return Object.assign(running, { endpoint });
  }

  /** Pids of processes of this home that said they serve. */
  served(): Record<string, number> {
    const folder = join(this.runtime, 'pids');
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.pid')) : [];
    return Object.fromEntries(
      names.map((name) => [name.slice(0, -'.pid'.length), Number(readFileSync(join(folder, name), 'utf8'))]),
    );
  }

  /** Of the daemon that said it serves. */
  get daemonPid(): number | undefined {
    const file = join(this.runtime, 'daemon.pid');
    return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined;
  }

  /** The daemon first: it would start the others again. */
  async killAll(): Promise<void> {
    for (const pid of [this.daemonPid ?? 0, ...Object.values(this.served())].filter((pid) => pid > 0)) {
      // A pid file outlives a killed process: another may have the number by now.
      if (isAlive(pid) && commandLine(pid).includes(program)) process.kill(pid, 'SIGKILL');
    }
    const children = [...this.children];
    const ends = children.map((child) => (hasEnded(child) ? undefined : once(child, 'exit')));
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(ends);
  }
}

async function outcomeOf(child: ChildProcess, input?: string | Buffer): Promise<Outcome> {
  const out: Buffer[] = [];
  let stderr = '';
  child.stdout?.on('data', (part: Buffer) => out.push(part));
  child.stderr?.on('data', (part: Buffer) => (stderr += part.toString()));
  child.stdin?.end(input ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? -1, stdout: Buffer.concat(out), stderr };
}

/** A process that goes on. */
export class Running {
  output = '';
  private readonly child: ChildProcess;
  private readonly exited: Promise<unknown>;

  constructor(child: ChildProcess) {
    this.child = child;
    this.exited = once(child, 'exit');
    child.stdout?.on('data', (part: Buffer) => (this.output += part.toString()));
    child.stderr?.on('data', (part: Buffer) => (this.output += part.toString()));
  }

  get pid(): number {
    return this.child.pid as number;
  }

  get ended(): boolean {
    return hasEnded(this.child);
  }

  async waitFor(pattern: RegExp, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!pattern.test(this.output)) {
      if (this.ended) throw new Error(`process ended:\n${this.output}`);
      if (Date.now() > deadline) throw new Error(`no ${pattern} within ${timeoutMs} ms:\n${this.output}`);
      await sleep(20);
    }
  }

  /** Stands still, with its connections open, until told to go on. */
  pause(): void {
    this.child.kill('SIGSTOP');
  }

  goOn(): void {
    this.child.kill('SIGCONT');
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.stop('SIGKILL');
  }

  /** Resolves with the exit code, once it ends by itself. */
  async end(): Promise<number | null> {
    await this.exited;
    return this.child.exitCode;
  }

  /** Resolves with the exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (!this.ended) this.child.kill(signal);
    return this.end();
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Tries until it holds; throws what it last threw, or that it never held. */
export async function eventually<T>(what: string, timeoutMs: number, check: () => Promise<T | undefined | false>) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let failure: unknown;
    try {
      const result = await check();
      if (result !== undefined && result !== false) return result;
    } catch (error) {
      failure = error;
    }
    if (Date.now() > deadline)
      throw new Error(`${what}: not within ${timeoutMs} ms`, failure === undefined ? {} : { cause: failure });
    await sleep(200);
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return program; // no /proc on this system: the number is all there is
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
