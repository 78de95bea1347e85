// What will happen in a simulated world, as a binary heap ordered by (time, seeded tie, sequence): two events of one instant
// come in an order that depends on the seed and on nothing else.

export interface Event {
  /** Virtual microseconds. */
  readonly at: number;
  readonly tie: number;
  readonly sequence: number;
  readonly label: string;
  /** Undefined once cancelled. */
  task: (() => void) | undefined;
}

function before(a: Event, b: Event): boolean {
  return a.at !== b.at ? a.at < b.at : a.tie !== b.tie ? a.tie < b.tie : a.sequence < b.sequence;
}

export class EventQueue {
  private readonly heap: Event[] = [];

  get size(): number {
    return this.heap.length;
  }

  peek(): Event | undefined {
    return this.heap[0];
  }

  push(event: Event): void {
    const heap = this.heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Event;
      if (before(above, event)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  pop(): Event | undefined {
    const heap = this.heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && before(right, heap[child] as Event)) child++;
      const below = heap[child] as Event;
      if (before(last, below)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
