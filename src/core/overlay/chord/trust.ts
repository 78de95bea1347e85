// What of a message about the ring is believed: only positions whose node has a verified record that declares them.

import type { NodeRecord } from '../overlay.ts';
import type { Entry, NodeName } from '../ring.ts';
import type { Answers, Call, MethodName, Requests } from './calls.ts';

type RecordOf = (node: NodeName) => NodeRecord | undefined;

/** Nodes an answer names whose records have to be asked for first: none is held, or it does not declare the position named. */
export function unknownIn(method: MethodName, answer: Answers[MethodName], recordOf: RecordOf): NodeName[] {
  const nodes = new Set<NodeName>();
  const add = (entries: readonly (Entry | undefined)[]) => {
    for (const entry of entries) if (entry && !declared(entry, recordOf)) nodes.add(entry.node);
  };
  const meet = (node: NodeName) => {
    if (recordOf(node) === undefined) nodes.add(node);
  };
  if (method === 'state') {
    const { items, known } = answer as Answers['state'];
    for (const item of items) add([...(item?.list ?? []), item?.pred]);
    for (const node of known) meet(node);
  } else if (method === 'find') {
    for (const item of (answer as Answers['find']).answers)
      if (item) add(item.type === 'owners' ? [item.after, ...item.entries] : [...item.entries, ...item.behind]);
  } else if (method === 'gossip') {
    for (const news of (answer as Answers['gossip']).news) if (news.state === 'alive') meet(news.node);
  }
  return [...nodes];
}

export function declared(entry: Entry, recordOf: RecordOf): boolean {
  return entry.index < (recordOf(entry.node)?.positions ?? 0);
}

/** The answer without positions nobody declared, and without more items than were asked for. */
export function checkedAnswer(call: Call, answer: Answers[MethodName], recordOf: RecordOf): Answers[MethodName] {
  const ours = (entry: Entry) => declared(entry, recordOf);
  if (call.method === 'state') {
    const { items, known, leaving } = answer as Answers['state'];
    const checked = items.slice(0, call.request.items.length).map(
      (item) =>
        item && {
          list: item.list?.filter(ours),
          pred: item.pred && ours(item.pred) ? item.pred : undefined,
        },
    );
    return { items: checked, known: known.filter((node) => recordOf(node)), leaving };
  }
  if (call.method !== 'find') return answer;
  const { answers } = answer as Answers['find'];
  return {
    answers: answers.slice(0, call.request.keys.length).map((item) => {
      if (item?.type === 'closer')
        return { type: 'closer', entries: item.entries.filter(ours), behind: item.behind.filter(ours) };
      return item && ours(item.after) ? { ...item, entries: item.entries.filter(ours) } : undefined;
    }),
  };
}

/** Whether the caller has another record by what it says: it speaks of places the one held does not declare, or leaves for good. */
export function outdates<M extends MethodName>(method: M, request: Requests[M], held: NodeRecord | undefined): boolean {
  if (method === 'notify')
    return (request as Requests['notify']).items.some(({ from }) => from >= (held?.positions ?? 0));
  return method === 'leave' && (request as Requests['leave']).drained && held?.leaving !== true;
}

/** A request about positions, cut to those the caller's record and others' declare. */
export function checkedRequest<M extends MethodName>(
  from: NodeName,
  method: M,
  request: Requests[M],
  recordOf: RecordOf,
): Requests[M] {
  const ours = (entry: Entry) => declared(entry, recordOf);
  if (method === 'notify') {
    const { items } = request as Requests['notify'];
    const positions = recordOf(from)?.positions ?? 0;
    return { items: items.filter((item) => item.from < positions) } as Requests[M];
  }
  if (method !== 'leave') return request;
  const { positions: told, drained } = request as Requests['leave'];
  const positions = told
    .filter(({ self }) => self.node === from)
    .map(({ self, list, pred }) => ({ self, list: list.filter(ours), pred: pred && ours(pred) ? pred : undefined }));
  return { positions, drained } as Requests['leave'] as Requests[M];
}
