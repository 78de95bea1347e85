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

/** The first key whose history no order explains, or undefined. Throws when a history is too tangled to judge. */
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

/** A history that needs more is reported instead of filling the memory. */
const statesMax = 1_000_000;

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

/**
 * Depth first over the orders that real time allows, remembering what was tried: which answered operations are behind us (all up
 * to one, and a few beyond it), which unanswered ones were taken to have happened, and the value.
 */
function explains(all: readonly Operation[]): boolean {
  const byCall = (a: Operation, b: Operation) => a.call - b.call;
  const answered = all.filter((one) => one.end !== Number.POSITIVE_INFINITY).sort(byCall);
  // An unanswered read says nothing.
  const open = all.filter((one) => one.type !== 'get' && one.end === Number.POSITIVE_INFINITY).sort(byCall);
  const done = new Uint8Array(answered.length);
  const taken = new Uint8Array(open.length);
  const seen = new Set<string>();
  let left = answered.length;

  const search = (from: number, state: State): boolean => {
    if (left === 0) return true;
    let start = from;
    while (done[start]) start++;
    const name = `${start}|${marked(done, start)}|${marked(taken, 0)}|${state === undefined ? '' : `=${state}`}`;
    if (seen.has(name)) return false;
    seen.add(name);
    if (seen.size > statesMax) throw new Error(`a history of ${all.length} operations is too tangled to judge`);
    const blocked: Operation[] = [];
    let earliestEnd = Number.POSITIVE_INFINITY;
    for (let i = start; i < answered.length; i++) {
      const one = answered[i] as Operation;
      if (one.call > earliestEnd) break;
      if (done[i]) continue;
      earliestEnd = Math.min(earliestEnd, one.end);
      const next = step(one, state);
      if (next === 'no') {
        blocked.push(one);
        continue;
      }
      done[i] = 1;
      left--;
      if (search(start, next.state)) return true;
      done[i] = 0;
      left++;
    }
    for (let i = 0; i < open.length; i++) {
      const one = open[i] as Operation;
      if (one.call > earliestEnd) break;
      const next = taken[i] ? 'no' : step(one, state);
      if (next === 'no' || next.state === state || !unblocks(next.state, blocked, open)) continue;
      taken[i] = 1;
      if (search(start, next.state)) return true;
      taken[i] = 0;
    }
    return false;
  };
  return search(0, undefined);
}

/**
 * Whether somebody needs that state at once. An unanswered write that nobody sees before the next one changes nothing, and one
 * whose next operation would also have gone without it may as well come after that: so only needed ones are tried.
 */
function unblocks(state: State, blocked: readonly Operation[], open: readonly Operation[]): boolean {
  if (blocked.some((one) => step(one, state) !== 'no')) return true;
  return open.some((one) => one.type === 'cas' && one.expected === state);
}

/** Which entries from `start` on are set, as a short name. */
function marked(flags: Uint8Array, start: number): string {
  let text = '';
  for (let at = flags.indexOf(1, start); at >= 0; at = flags.indexOf(1, at + 1)) text += `${at},`;
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
