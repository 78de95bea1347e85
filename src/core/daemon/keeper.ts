// Keeps one unit running: takes up the process there is or starts one, and starts it again when it ends, later each time it
// ends soon.

import { asError, InfinitError } from '../base/errors.ts';
import { type Deferred, deferred } from '../base/lifecycle.ts';
import type { UnitState, UnitStatus } from '../cli/supervising.ts';
import type { Clock, Log } from '../runtime/runtime.ts';
import type { Launcher, ProcessId, Unit, UnitProcess } from './daemon.ts';

const component = 'daemon';
const second = 1000;
/** Then as the last. */
export const backOffMs = [1, 2, 4, 8, 16, 20].map((seconds) => seconds * second);
/** Whoever served so long may start again at once. */
const soundMs = 60 * second;

export interface KeeperOptions {
  clock: Clock;
  log: Log;
  launcher: Launcher;
  /** The process changed: to be remembered before anything else happens. */
  remember(id: ProcessId | undefined): Promise<void>;
}

export class Keeper {
  readonly unit: Unit;
  private readonly options: KeeperOptions;
  private readonly remembered: ProcessId | undefined;
  private readonly first: Deferred<unknown> = deferred();
  private readonly done: Deferred<void> = deferred();
  private state: UnitState = 'starting';
  private process: UnitProcess | undefined;
  private adopted = false;
  private restarts = 0;
  /** Ends in a row that came soon. */
  private failures = 0;
  private sinceMs: number;
  private retryAtMs: number | undefined;
  private lastError: string | undefined;
  private wish: 'keep' | 'stop' | 'let go' = 'keep';
  private wake = new AbortController();
  /** Resolves when it is known whether there is a process. */
  private known: Promise<unknown> = Promise.resolve();
  private isDone = false;

  constructor(unit: Unit, remembered: ProcessId | undefined, options: KeeperOptions) {
    this.unit = unit;
    this.remembered = remembered;
    this.options = options;
    this.sinceMs = options.clock.now();
    this.first.promise.catch(() => {}); // whoever asks is told; nobody has to
  }

  /** Begins; what comes of the first attempt, which is not the last one. */
  start(): Promise<unknown> {
    void this.keep();
    return this.begun();
  }

  /** What it told when it first served, or why its first attempt failed. */
  begun(): Promise<unknown> {
    return this.first.promise;
  }

  /** Stops it for good. Throws `conflict` while its files are in use: then it is kept as before. */
  async stop(): Promise<void> {
    this.wish = 'stop';
    this.wake.abort();
    await this.known;
    const before = this.state;
    const { process } = this;
    if (process !== undefined) {
      this.enter('stopping');
      try {
        await process.stop();
      } catch (error) {
        if (this.isDone) return;
        this.wish = 'keep';
        this.wake = new AbortController();
        this.enter(before);
        throw error;
      }
    }
    await this.done.promise;
  }

  /** Stops it, whoever uses it. Whether its process has ended within the time. */
  async leave(timeMs: number): Promise<boolean> {
    const { clock } = this.options;
    const deadline = clock.monotonic() + timeMs;
    const within = async (share: number): Promise<false> => {
      await clock.sleep(Math.max(0, deadline - clock.monotonic() - timeMs * (1 - share)));
      return false;
    };
    const stopped = this.stop().then(
      () => true,
      () => false,
    );
    if (await Promise.race([stopped, within(0.5)])) return true;
    this.wish = 'stop';
    const { process } = this;
    if (process === undefined) return true;
    const ended = process.ended.then(() => true);
    process.press();
    if (await Promise.race([ended, within(0.75)])) return true;
    process.press();
    return Promise.race([ended, within(1)]);
  }

  /** Keeps it no more; its process goes on. */
  letGo(): void {
    this.wish = 'let go';
    this.wake.abort();
  }

  status(): UnitStatus {
    const { role, user, name } = this.unit;
    const { clock } = this.options;
    return {
      ...{ role, user, name, state: this.state, since: new Date(this.sinceMs).toISOString() },
      ...(this.process !== undefined && { pid: this.process.id.pid, adopted: this.adopted }),
      restarts: this.restarts,
      ...(this.retryAtMs !== undefined && { retry_ms: Math.max(0, Math.round(this.retryAtMs - clock.monotonic())) }),
      ...(this.lastError !== undefined && { last_error: this.lastError }),
    };
  }

  private async keep(): Promise<void> {
    const { clock } = this.options;
    let { remembered } = this;
    while (this.wish === 'keep') {
      const began = clock.monotonic();
      await this.runOnce(remembered);
      remembered = undefined;
      if (this.wish !== 'keep') break;
      this.failures = clock.monotonic() - began >= soundMs ? 0 : this.failures + 1;
      this.restarts++;
      await this.pause(backOffMs[Math.min(this.failures, backOffMs.length) - 1] ?? 0);
    }
    this.first.reject(new InfinitError('cancelled', 'stopped before it served'));
    this.isDone = true;
    this.enter('stopped');
    this.done.resolve();
  }

  /** One process, from its beginning to its end. */
  private async runOnce(remembered: ProcessId | undefined): Promise<void> {
    this.enter('starting');
    const begun = this.begin(remembered);
    this.known = begun.catch(() => {});
    try {
      const process = await begun;
      if (process === undefined) return;
      const facts = await process.serving;
      this.first.resolve(facts);
      this.lastError = undefined;
      if (this.wish === 'keep') this.enter('running');
      const how = await process.ended;
      if (this.wish === 'keep') this.failed(`its process ended with ${how}`);
    } catch (error) {
      this.first.reject(error);
      await this.process?.ended;
      if (this.wish === 'keep') this.failed(asError(error).message);
    } finally {
      this.process = undefined;
      if (this.wish === 'keep') await this.options.remember(undefined).catch(() => {});
    }
  }

  /** The process there is, or a new one; undefined when none is wanted any more. */
  private async begin(remembered: ProcessId | undefined): Promise<UnitProcess | undefined> {
    const { launcher, remember } = this.options;
    const found = await launcher.find(this.unit, remembered);
    if (found === undefined && this.wish !== 'keep') return undefined;
    const process = found ?? (await launcher.launch(this.unit));
    this.adopted = found !== undefined;
    this.process = process;
    await remember(process.id);
    this.say('info', this.adopted ? 'taken up' : 'started', { pid: process.id.pid });
    return process;
  }

  private failed(reason: string): void {
    this.lastError = reason;
    this.say('warn', 'not running', { reason });
  }

  private async pause(timeMs: number): Promise<void> {
    this.enter('waiting');
    this.retryAtMs = this.options.clock.monotonic() + timeMs;
    await this.options.clock.sleep(timeMs, { signal: this.wake.signal }).catch(() => {});
    this.retryAtMs = undefined;
  }

  private enter(state: UnitState): void {
    if (state !== this.state) this.sinceMs = this.options.clock.now();
    this.state = state;
  }

  private say(level: 'info' | 'warn', message: string, facts: Record<string, unknown>): void {
    const { role, user, name } = this.unit;
    this.options.log.write(level, component, message, { role, user, name, ...facts });
  }
}
