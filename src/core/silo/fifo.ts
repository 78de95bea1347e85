// A queue. Not an array with `shift`: from some ten thousand elements on, each of those moves all that is left.

const compactFrom = 1024;

export class Fifo<T> {
  private items: (T | undefined)[] = [];
  private at = 0;

  get length(): number {
    return this.items.length - this.at;
  }

  get first(): T | undefined {
    return this.items[this.at];
  }

  push(item: T): void {
    this.items.push(item);
  }

  shift(): T | undefined {
    const item = this.first;
    if (this.length === 0) return undefined;
    this.items[this.at++] = undefined;
    if (this.at >= compactFrom && this.at * 2 >= this.items.length) {
      this.items = this.items.slice(this.at);
      this.at = 0;
    }
    return item;
  }

  /** Empties the queue. */
  takeAll(): T[] {
    const all = this.items.slice(this.at) as T[];
    this.items = [];
    this.at = 0;
    return all;
  }
}
