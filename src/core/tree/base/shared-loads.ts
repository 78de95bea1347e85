// Loads of the same thing at the same time are one load. It goes on for the others when one of its callers gives up.

import { type Abortable, cancelled, checkSignal } from '../../base/lifecycle.ts';

export class SharedLoads<T> {
  private readonly running = new Map<string, Promise<T>>();

  async run(name: string, load: () => Promise<T>, { signal }: Abortable = {}): Promise<T> {
    checkSignal(signal);
    let shared = this.running.get(name);
    if (shared === undefined) {
      shared = load().finally(() => this.running.delete(name));
      this.running.set(name, shared);
    }
    return signal === undefined ? shared : unlessAborted(shared, signal);
  }
}

function unlessAborted<T>(load: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(cancelled(signal));
    signal.addEventListener('abort', giveUp, { once: true });
    load.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}
