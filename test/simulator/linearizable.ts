// A linearizability checker for histories of single keys (Wing and Gong's search with memory of visited states): put, get,
// delete and compare-and-set with the times of their calls and returns. An operation without an answer may have happened at
// any time after its call, or never.

export interface Operation {
  key: string;
  call: number;
  /** Infinity when the answer is unknown. */
  end: number;
  type: 'put' | 'get' | 'delete' | 'cas';
  /** put, cas: what is written. Values of one key are distinct. */
  value?: string | undefined;
  /** cas: the value it must find (undefined: absent). */
  expected?: string | undefined;
  /** get: what was read (undefined: absent). cas, delete: whether it happened. Ignored when `end` is Infinity. */
  result?: string | boolean | undefined;
  /** Who, for reports. */
  by?: string;
}

export interface Violation {
  key: string;
  operations: Operation[];
}

/** The first key whose history no order explains, or undefined. */
export function findViolation(history: readonly Operation[]): Violation | undefined {
  const keys = new Map<string, Operation[]>();
  for (const operation of history) {
    const list = keys.get(operation.key) ?? [];
    list.push(operation);
    keys.set(operation.key, list);
  }
  for (const [key, operations] of keys) if (!explains(operations)) return { key, operations };
  return undefined;
}

type State = string | undefined;

/** What the operation makes of a state, or `no` when its answer contradicts it. */
function step(operation: Operation, state: State): { state: State } | 'no' {
  const unknown = operation.end === Number.POSITIVE_INFINITY;
  switch (operation.type) {
    case 'put':
      return { state: operation.value };
    case 'get':
      return unknown || operation.result === state ? { state } : 'no';
    case 'delete':
      return unknown || operation.result === (state !== undefined) ? { state: undefined } : 'no';
    case 'cas': {
      const matches = state === operation.expected;
      if (!unknown && operation.result !== matches) return 'no';
      return { state: matches ? operation.value : state };
    }
  }
}

function explains(all: readonly Operation[]): boolean {
  // An unanswered read says nothing.
  const operations = all
    .filter((one) => one.type !== 'get' || one.end !== Number.POSITIVE_INFINITY)
    .sort((a, b) => a.call - b.call);
  const done = new Uint8Array(operations.length);
  const seen = new Set<string>();
  let left = operations.filter((one) => one.end !== Number.POSITIVE_INFINITY).length;

  const search = (from: number, state: State): boolean => {
    if (left === 0) return true;
    let start = from;
    while (done[start]) start++;
    const name = `${start}|${window(done, start)}|${state ?? ''}|${state === undefined}`;
    if (seen.has(name)) return false;
    seen.add(name);
    let earliestEnd = Number.POSITIVE_INFINITY;
    for (let i = start; i < operations.length; i++) {
      const one = operations[i] as Operation;
      if (one.call > earliestEnd) break;
      if (done[i]) continue;
      earliestEnd = Math.min(earliestEnd, one.end);
      const next = step(one, state);
      if (next === 'no') continue;
      const known = one.end !== Number.POSITIVE_INFINITY;
      done[i] = 1;
      if (known) left--;
      if (search(start, next.state)) return true;
      done[i] = 0;
      if (known) left++;
    }
    return false;
  };
  return search(0, undefined);
}

/** Which operations behind `start` are done, as a short name. */
function window(done: Uint8Array, start: number): string {
  let last = done.lastIndexOf(1);
  let text = '';
  for (; last >= start; last--) if (done[last]) text += `${last},`;
  return text;
}

/** A history as lines, for failure messages. */
export function describe(operations: readonly Operation[]): string {
  return [...operations]
    .sort((a, b) => a.call - b.call)
    .map((one) => {
      const { type, value, expected, result, by } = one;
      const what = type === 'cas' ? `cas ${expected} -> ${value}` : `${type} ${value ?? ''}`;
      return `${one.call.toFixed(1)}..${one.end.toFixed(1)} ${by ?? ''} ${what} = ${String(result)}`;
    })
    .join('\n');
}
