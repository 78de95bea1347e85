// Lets tasks that share a key run one after another, in the order they came, and others at once. A task names all its keys
// before it starts and waits only for tasks that came earlier, so there is no deadlock.

import { deferred } from '../base/lifecycle.ts';

export class KeyGate {
  private readonly last = new Map<string, Promise<void>>();

  async run<T>(keys: readonly string[], task: () => Promise<T>): Promise<T> {
    const done = deferred();
    const names = new Set(keys);
    const before = new Set<Promise<void>>();
    for (const name of names) {
      const earlier = this.last.get(name);
      if (earlier) before.add(earlier);
      this.last.set(name, done.promise);
    }
    try {
      if (before.size > 0) await Promise.all(before);
      return await task();
    } finally {
      for (const name of names) if (this.last.get(name) === done.promise) this.last.delete(name);
      done.resolve();
    }
  }
}
