// How a volume is let go: the first request to stop unmounts as soon as no file is in use, the second one at once. A volume that
// is not mounted has nothing to wait for; one whose mount went away by itself neither.

import { asError } from '../base/errors.ts';
import type { Mounted } from '../gateway/fuse/fuse.ts';
import type { Clock } from '../runtime/runtime.ts';

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

  constructor(options: LettingGoOptions) {
    this.options = options;
    this.signal = this.released.signal;
    void options.mounted?.ended.then(() => this.done());
  }

  when(stop: AbortSignal, force: AbortSignal): void {
    const begin = () => void this.persistently(force);
    if (stop.aborted) begin();
    else stop.addEventListener('abort', begin, { once: true });
  }

  /** Throws `conflict` while files are in use; then all is as it was. */
  async orRefuse(): Promise<void> {
    await this.options.mounted?.unmount();
  }

  /** Whoever uses files on it loses them. */
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
      if (outcome === 'forced' || outcome === undefined) break;
      if (outcome !== told) this.options.warn(`${outcome}; once more to let go at once`);
      told = outcome;
      if ((await Promise.race([forced, this.options.clock.sleep(retryMs)])) === 'forced') break;
    }
    this.done();
  }

  /** What stands in the way. */
  private async attempt(): Promise<string | undefined> {
    try {
      await this.orRefuse();
      return undefined;
    } catch (cause) {
      const { kind, message } = asError(cause);
      const { name } = this.options;
      if (kind === 'conflict') return `volume "${name}" is in use: it is unmounted when its files are closed`;
      return `volume "${name}" cannot be unmounted: ${message}`;
    }
  }
}
