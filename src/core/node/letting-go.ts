// How a volume is let go: the first request to stop unmounts as soon as no file is in use; the second one takes it out of sight
// at once, and serves those who still use files until they close them. A volume that is not mounted has nothing to wait for;
// one whose mount went away by itself neither.

import { asError } from '../base/errors.ts';
import type { Mounted } from '../gateway/fuse/fuse.ts';
import type { Clock } from '../runtime/runtime.ts';
import { toldWhenSlow } from './slow.ts';

export interface LettingGoOptions {
  clock: Clock;
  mounted: Mounted | undefined;
  name: string;
  /** One line for the person. */
  warn(text: string): void;
}

const retryMs = 1000;

export class LettingGo {
  /** Fires when the volume is let go. */
  readonly signal: AbortSignal;
  private readonly options: LettingGoOptions;
  private readonly released = new AbortController();
  private hasBegun = false;
  private isAsked = false;
  private isGone = false;
  private isTold = false;

  constructor(options: LettingGoOptions) {
    this.options = options;
    this.signal = this.released.signal;
    void options.mounted?.ended.then(() => {
      this.isGone = true;
      // Whoever asked by `orRefuse` is answered first.
      if (!this.isAsked) this.done();
    });
  }

  when(stop: AbortSignal, force: AbortSignal): void {
    const begin = () => void this.persistently(force);
    if (stop.aborted) begin();
    else stop.addEventListener('abort', begin, { once: true });
  }

  /** Throws `conflict` while files are in use; then all is as it was. Else the caller says when it is `done`. */
  async orRefuse(): Promise<void> {
    this.isAsked = true;
    try {
      await this.unmounted('it stops when it is');
    } catch (error) {
      this.isAsked = false;
      if (this.isGone) this.done();
      throw error;
    }
  }

  /** Out of sight; whoever uses files on it is served while this process lives. */
  async now(): Promise<void> {
    await this.options.mounted?.unmount({ lazy: true });
  }

  done(): void {
    this.released.abort();
  }

  private async persistently(force: AbortSignal): Promise<void> {
    if (this.hasBegun) return;
    this.hasBegun = true;
    const forced = new Promise<'forced'>((resolve) => {
      if (force.aborted) resolve('forced');
      else force.addEventListener('abort', () => resolve('forced'), { once: true });
    });
    for (let told = ''; !this.signal.aborted; ) {
      const outcome = await Promise.race([forced, this.attempt()]);
      if (outcome === undefined) return this.done();
      if (outcome === 'forced') return this.detached();
      if (outcome !== told) this.options.warn(`${outcome}; once more to take it out of sight`);
      told = outcome;
      if ((await Promise.race([forced, this.options.clock.sleep(retryMs)])) === 'forced') return this.detached();
    }
  }

  /** Done when the kernel lets go, or now when there is nothing to let go of. */
  private async detached(): Promise<void> {
    if (this.options.mounted === undefined) return this.done();
    try {
      await this.now();
    } catch (error) {
      this.options.warn(`volume "${this.options.name}": ${asError(error).message}`);
    }
  }

  /** Says so, once, when the network does not take what was written. */
  private async unmounted(advice: string): Promise<void> {
    const { clock, mounted, name, warn } = this.options;
    if (mounted === undefined) return;
    const tell = () => {
      if (!this.isTold)
        warn(`volume "${name}" waits for the network: not all that was written is there yet; ${advice}`);
      this.isTold = true;
    };
    await toldWhenSlow(clock, mounted.unmount(), tell);
  }

  /** What stands in the way. */
  private async attempt(): Promise<string | undefined> {
    try {
      await this.unmounted('once more to take it out of sight');
      return undefined;
    } catch (cause) {
      const { kind, message } = asError(cause);
      const { name } = this.options;
      if (kind === 'conflict') return `volume "${name}" is in use: it is unmounted when its files are closed`;
      return `volume "${name}" cannot be unmounted: ${message}`;
    }
  }
}
