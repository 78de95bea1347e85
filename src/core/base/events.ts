// Typed events. A listener that throws is a bug of its own and never disturbs the emitter or the others.

export class Events<M extends Record<string, unknown>> {
  private readonly listeners = new Map<keyof M, Set<(value: never) => void>>();

  /** Calls the listener on each such event; returns what takes it off again. */
  on<K extends keyof M>(name: K, listener: (value: M[K]) => void): () => void {
    const set = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, set);
    set.add(listener);
    return () => set.delete(listener);
  }

  emit<K extends keyof M>(name: K, value: M[K]): void {
    for (const listener of [...(this.listeners.get(name) ?? [])]) {
      try {
        (listener as (value: M[K]) => void)(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
