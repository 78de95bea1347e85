// Devices for end-to-end tests: each has its own home and runtime folder, and runs the real program as a process.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../bin/infinit.js', import.meta.url));

export interface Outcome {
  code: number;
  stdout: Buffer;
  stderr: string;
}

/** A folder for one test; removed with all it holds by `close`, which also kills what still runs. */
export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), 'infinit-e2e-'));
  readonly devices: Device[] = [];

  device(name: string, user: string): Device {
    const device = new Device(join(this.folder, name), name, user);
    this.devices.push(device);
    return device;
  }

  async close(): Promise<void> {
    for (const device of this.devices) await device.killAll();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class Device {
  readonly home: string;
  readonly name: string;
  readonly user: string;
  private readonly running = new Set<ChildProcess>();

  constructor(home: string, name: string, user: string) {
    this.home = home;
    this.name = name;
    this.user = user;
    mkdirSync(join(home, 'run'), { recursive: true, mode: 0o700 });
  }

  private environment(): NodeJS.ProcessEnv {
    const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('INFINIT_')));
    return { ...own, INFINIT_HOME: this.home, INFINIT_RUNTIME_DIR: join(this.home, 'run'), INFINIT_USER: this.user };
  }

  private spawn(words: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, [program, ...words], { env: this.environment(), stdio: 'pipe' });
    this.running.add(child);
    child.once('exit', () => this.running.delete(child));
    return child;
  }

  /** Runs a command to its end, whatever its exit code. */
  async attempt(words: readonly string[], input?: string | Buffer): Promise<Outcome> {
    const child = this.spawn(words);
    const out: Buffer[] = [];
    let stderr = '';
    child.stdout?.on('data', (part: Buffer) => out.push(part));
    child.stderr?.on('data', (part: Buffer) => (stderr += part.toString()));
    child.stdin?.on('error', () => {}); // it may end without reading
    child.stdin?.end(input ?? '');
    const [code] = (await once(child, 'close')) as [number | null];
    return { code: code ?? -1, stdout: Buffer.concat(out), stderr };
  }

  /** Runs a command that must succeed; its output without the last newline. */
  async run(words: readonly string[], input?: string | Buffer): Promise<string> {
    const outcome = await this.attempt(words, input);
    if (outcome.code !== 0) {
      throw new Error(
        `${this.name}: infinit ${words.join(' ')}: exit ${outcome.code}\n${outcome.stdout}\n${outcome.stderr}`,
      );
    }
    return outcome.stdout.toString().replace(/\n$/, '');
  }

  /** Starts a long-running command in the foreground and waits for a line of its output that matches. */
  async start(words: readonly string[], ready: RegExp, timeoutMs = 30_000): Promise<Running> {
    const child = this.spawn(words);
    const running = new Running(child);
    await running.waitFor(ready, timeoutMs);
    return running;
  }

  /** Starts `network run` on a free port of loopback; resolves with the process and its endpoint. */
  async startNode(network: string, options: readonly string[] = []): Promise<Running & { endpoint: string }> {
    const file = join(this.home, 'run', 'endpoints');
    rmSync(file, { force: true });
    const words = ['network', 'run', network, '--listen', '127.0.0.1', '--endpoints-file', file, ...options];
    const running = await this.start(words, /^Running network/m);
    const endpoint = existsSync(file) ? (readFileSync(file, 'utf8').trim().split('\n')[0] as string) : '';
    return Object.assign(running, { endpoint });
  }

  async killAll(): Promise<void> {
    const children = [...this.running];
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(
      children.map((child) => (child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null)),
    );
  }
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

  async waitFor(pattern: RegExp, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!pattern.test(this.output)) {
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`process ended:\n${this.output}`);
      if (Date.now() > deadline) throw new Error(`no ${pattern} within ${timeoutMs} ms:\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    await this.exited;
    return this.child.exitCode;
  }
}
