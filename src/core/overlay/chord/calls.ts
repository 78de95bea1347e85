// The calls nodes of the ring make to each other, as values; `messages.ts` says how they travel.

import type { GossipAnswer, GossipRequest } from '../messages.ts';
import type { NodeName, Point } from '../ring.ts';
import type { FindAnswer } from './answers.ts';
import type { StateAnswer } from './state.ts';
import type { LeaverPosition, Send } from './steps.ts';

export interface Requests {
  state: { items: { target: number; held: string }[] };
  notify: { items: { from: number; target: number; changed: boolean }[] };
  find: { keys: Point[]; strict: boolean; want: number };
  leave: { positions: LeaverPosition[]; drained: boolean };
  gossip: GossipRequest;
}

export interface Answers {
  state: { items: (StateAnswer | undefined)[]; known: NodeName[]; leaving: boolean };
  notify: Record<string, never>;
  find: { answers: (FindAnswer | undefined)[] };
  leave: Record<string, never>;
  gossip: GossipAnswer;
}

export type MethodName = keyof Requests;
export type Call = { [M in MethodName]: { method: M; request: Requests[M] } }[MethodName];

export interface Outgoing {
  readonly id: number;
  readonly to: NodeName;
  readonly call: Call;
  readonly timeoutMs: number;
}

export const callTimeoutMs = 2000;
/** A helper has to probe before it answers. */
const viaTimeoutMs = 1500;

export function timeoutOf(call: Call, pingTimeoutMs: number): number {
  if (call.method !== 'gossip') return callTimeoutMs;
  return call.request.about === undefined ? pingTimeoutMs : Math.max(viaTimeoutMs, pingTimeoutMs);
}

/** Which position asked, and under which nonce: item by item. */
export type Item = { position: number; nonce: number };

/** Sends of one turn to one node share a message of each kind. `want`: distinct nodes wanted of each `find`. */
export function gather(sends: readonly Send[], want: number): { to: NodeName; call: Call; items: readonly Item[] }[] {
  const byNode = new Map<NodeName, Send[]>();
  for (const send of sends) {
    if (send.type !== 'find' && send.type !== 'state' && send.type !== 'notify') continue;
    const to = send.type === 'find' ? send.to : send.to.node;
    byNode.set(to, [...(byNode.get(to) ?? []), send]);
  }
  return [...byNode].flatMap(([to, list]) => {
    const state = list.filter((send) => send.type === 'state');
    const find = list.filter((send) => send.type === 'find');
    const notify = list.filter((send) => send.type === 'notify');
    const calls: { to: NodeName; call: Call; items: readonly Item[] }[] = [];
    if (state.length > 0) {
      const items = state.map((send) => ({ target: send.to.index, held: send.held }));
      calls.push({ to, call: { method: 'state', request: { items } }, items: state });
    }
    if (find.length > 0) {
      const keys = find.map((send) => send.key);
      calls.push({ to, call: { method: 'find', request: { keys, strict: true, want } }, items: find });
    }
    if (notify.length > 0) {
      const items = notify.map((send) => ({ from: send.from.index, target: send.to.index, changed: send.changed }));
      calls.push({ to, call: { method: 'notify', request: { items } }, items: [] });
    }
    return calls;
  });
}
