// The daemon of a home, from its lock to its end: takes up what the book says and what it is told to keep, answers its socket, and
// at the end stops all of it, or leaves it to the next daemon.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { utf8 } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import type { RunDaemonOptions } from '../cli/supervising.ts';
import { getLink } from '../descriptor/links.ts';
import { qualify } from '../descriptor/names.ts';
import { holderOf } from '../descriptor/removal.ts';
import { getVolume } from '../descriptor/volumes.ts';
import { reportReady } from '../node/daemon.ts';
import { openMetrics } from '../node/metrics.ts';
import { processMetrics, type ServedMetrics } from '../node/metrics-server.ts';
import { stopped } from '../node/serving.ts';
import type { FileLock } from '../runtime/runtime.ts';
import { Book, checkUnit, lockPath } from './book.ts';
import { type Operation, serveControl } from './control.ts';
import { keyOf, type Unit } from './daemon.ts';
import { unitMetrics } from './metrics.ts';
import { Processes } from './processes.ts';
import { defaultSilo, drained, relink } from './storage.ts';
import { Supervisor } from './supervisor.ts';
import { networkWords, volumeWords } from './unit-words.ts';

const component = 'daemon';
/** How long those who use files have until their mount goes out of sight, and what is left after. */
const endMs = 60_000;
const farewellMs = 100;

type Request = Readonly<Record<string, unknown>>;

export class Server {
  private readonly options: RunDaemonOptions;
  private readonly supervisor: Supervisor;
  private readonly asked = new AbortController();
  private inUse: string[] = [];
  /** Where metrics are read. */
  private metrics: string | null = null;

  private constructor(options: RunDaemonOptions, supervisor: Supervisor) {
    this.options = options;
    this.supervisor = supervisor;
  }

  /** Serves until a stop is asked for. Throws `exists` when another daemon of this home runs. */
  static async run(options: RunDaemonOptions, logs: string): Promise<void> {
    const { runtime, home } = options.context;
    const { clock, log, files } = runtime;
    await files.makeDirectory(home.state);
    const lock = await takeLock(options);
    try {
      const book = await Book.open(files, home);
      const level = options.logLevel === undefined ? {} : { INFINIT_LOG_LEVEL: options.logLevel };
      const launcher = new Processes({ clock, home, logs, env: { ...process.env, ...level } });
      const supervisor = new Supervisor({ clock, log, launcher, book });
      await new Server(options, supervisor).serve();
    } finally {
      await lock.release();
    }
  }

  private async serve(): Promise<void> {
    const { context, volumes, networks, as, signal, ready } = this.options;
    const { home, runtime } = context;
    const closers = [await serveControl(home, this.operations())];
    const pidFile = join(home.runtime, 'daemon.pid');
    try {
      await runtime.files.replace(pidFile, utf8(`${process.pid}\n`), { mode: 0o600 });
      this.supervisor.begin();
      for (const name of networks) await this.supervisor.keep(await this.networkUnit(as, name));
      for (const name of volumes) await this.supervisor.keep(await this.volumeUnit({ volume: name }));
      const told = await this.tellMetrics();
      if (told !== undefined) closers.push(told.close);
      const facts = { pid: process.pid };
      ready(facts);
      reportReady(facts);
      await stopped(AbortSignal.any([signal, this.asked.signal]));
      if (!this.asked.signal.aborted) await this.endAll();
    } finally {
      this.supervisor.letGo();
      for (const close of closers.reverse()) await close();
      await rm(pidFile, { force: true });
    }
  }

  private async tellMetrics(): Promise<ServedMetrics | undefined> {
    const { context, prometheus, warn } = this.options;
    if (prometheus === undefined) return undefined;
    const metrics = processMetrics({});
    metrics.source(() => unitMetrics(this.supervisor.status()));
    const runtime = { ...context.runtime, metrics };
    const told = await openMetrics({ context: { ...context, runtime }, prometheus, warn });
    this.metrics = told?.endpoint ?? null;
    return told;
  }

  private async endAll(): Promise<void> {
    const forced = stopped(this.options.force).then(() => ['not waited for']);
    this.inUse = await Promise.race([this.supervisor.end(endMs), forced]);
    if (this.inUse.length > 0) this.options.warn(`left running: ${this.inUse.join(', ')}`);
  }

  private operations(): Record<string, Operation> {
    const { supervisor } = this;
    const volume = async (request: Request) => ({ volume: supervisor.statusOf(await this.keyOf(request)) ?? null });
    return {
      status: async () => ({ status: 'Running', pid: process.pid, metrics: this.metrics, units: supervisor.status() }),
      stop: async ({ keep }) => {
        if (keep !== true) await this.endAll();
        this.options.context.runtime.clock.after(farewellMs, () => this.asked.abort());
        return { in_use: this.inUse };
      },
      'volume-list': async () => ({ volumes: supervisor.status().filter(({ role }) => role === 'volume') }),
      'volume-status': volume,
      'volume-start': async (request) => {
        const facts = await supervisor.start(await this.volumeUnit(request));
        return { ...(await volume(request)), facts };
      },
      'volume-stop': async (request) => {
        await supervisor.stop(await this.keyOf(request));
        return volume(request);
      },
      'volume-restart': async (request) => {
        await supervisor.restart(await this.keyOf(request));
        return volume(request);
      },
      'enable-storage': (request, closed) => this.enableStorage(request, closed),
      'disable-storage': (request) => this.disableStorage(request),
    };
  }

  private async enableStorage(request: Request, closed: AbortSignal): Promise<Record<string, unknown>> {
    const { context } = this.options;
    const user = this.userOf(request);
    const { network } = await getVolume(context, user, text(request, 'volume'));
    const link = await getLink(context, user, network);
    const [there] = link.silos;
    if (there !== undefined) return { silo: there };
    const silo = await defaultSilo(context, link.name);
    await this.between(request, () => relink(context, link, [silo]));
    if (request.hold === true) {
      const withdraw = () =>
        void this.disableStorage(request).catch((error: unknown) =>
          this.log('a silo that was held for a client stays', { network, error: asError(error).message }),
        );
      if (closed.aborted) withdraw();
      else closed.addEventListener('abort', withdraw, { once: true });
    }
    return { silo };
  }

  private async disableStorage(request: Request): Promise<Record<string, unknown>> {
    const { context, signal } = this.options;
    const user = this.userOf(request);
    const { network } = await getVolume(context, user, text(request, 'volume'));
    const link = await getLink(context, user, network);
    if (link.silos.length === 0) return { silos: [] };
    await drained(context, user, link.name, signal);
    const node = keyOf({ role: 'network', user, name: link.name });
    if (this.supervisor.statusOf(node) !== undefined) await this.supervisor.stop(node);
    await this.between(request, () => relink(context, link, []));
    return { silos: link.silos };
  }

  /** While the volume does not run, if it does. */
  private async between(request: Request, task: () => Promise<void>): Promise<void> {
    const key = await this.keyOf(request);
    if (this.supervisor.statusOf(key) === undefined) await task();
    else await this.supervisor.restart(key, task);
  }

  private userOf({ user }: Request): string {
    return typeof user === 'string' ? user : this.options.as;
  }

  private async keyOf(request: Request): Promise<string> {
    const user = this.userOf(request);
    return keyOf({ role: 'volume', user, name: qualify('volume', text(request, 'volume'), user) });
  }

  /** As asked; what was not said is as the daemon's own options say. */
  private async volumeUnit(request: Request): Promise<Unit> {
    const { context } = this.options;
    const user = this.userOf(request);
    const { name, mount_options } = await getVolume(context, user, text(request, 'volume'));
    const given = request.words === undefined ? ['volume', 'mount', name] : request.words;
    const unit = checkUnit({ role: 'volume', user, name, words: given, directory: request.directory ?? '/' });
    const volume = { name, hasMountpoint: mount_options.mountpoint !== undefined };
    return { ...unit, words: volumeWords(volume, unit.words, this.options) };
  }

  private async networkUnit(user: string, given: string): Promise<Unit> {
    const { name } = await getLink(this.options.context, user, given);
    return { role: 'network', user, name, words: networkWords(name, this.options), directory: '/' };
  }

  private log(message: string, facts: Record<string, unknown>): void {
    this.options.context.runtime.log.write('warn', component, message, facts);
  }
}

async function takeLock({ context }: RunDaemonOptions): Promise<FileLock> {
  try {
    return await context.runtime.files.lock(lockPath(context.home));
  } catch (error) {
    if (!isError(error, 'exists')) throw error;
    throw new InfinitError('exists', `the daemon is already running${holderOf(error)}`, { cause: error });
  }
}

function text(request: Request, field: string): string {
  const value = request[field];
  if (typeof value !== 'string' || value === '') throw new InfinitError('usage', `${field}: expected a name`);
  return value;
}
