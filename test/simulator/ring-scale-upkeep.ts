// What upkeep costs a node of a large quiet ring: production machines of some of its nodes under their own timers, answered by the
// ring, and their finger refreshes; sizes by the production codecs. A call and its answer count for the caller, which is also
// what a node sends on average.

import { type Codec, encode } from '../../src/core/base/codec.ts';
import { limits } from '../../src/core/base/limits.ts';
import { keyPairFromSeed } from '../../src/core/crypto/keys.ts';
import type { FindAnswer } from '../../src/core/overlay/chord/answers.ts';
import type { Answers, Call, MethodName, Outgoing } from '../../src/core/overlay/chord/calls.ts';
import { Fingers } from '../../src/core/overlay/chord/fingers.ts';
import { Machine } from '../../src/core/overlay/chord/machine.ts';
import { ringFind, ringLeave, ringNotify, ringState } from '../../src/core/overlay/chord/messages.ts';
import { fingerPeriodMs } from '../../src/core/overlay/chord/storage.ts';
import { unknownIn } from '../../src/core/overlay/chord/trust.ts';
import { ringGossip } from '../../src/core/overlay/messages.ts';
import { signRecord } from '../../src/core/overlay/node-record.ts';
import { nodeRecord } from '../../src/core/overlay/overlay.ts';
import type { NodeName } from '../../src/core/overlay/ring.ts';
import type { ScaleRing } from './ring-scale.ts';
import { Lookups } from './ring-scale-lookups.ts';

const methods = { state: ringState, notify: ringNotify, find: ringFind, leave: ringLeave, gossip: ringGossip };
/** Frame header, TLS record, TCP and IP headers of a frame alone in its packet. */
export const frameOverheadBytes = 24 + 22 + 52;

/** Of a call and, when there is one, its answer. */
export function bytesOf(call: Call, answer: Answers[MethodName] | undefined): number {
  const { request, response } = methods[call.method];
  const asked = frameOverheadBytes + encode(request as Codec<unknown>, call.request).length;
  return answer === undefined ? asked : asked + frameOverheadBytes + encode(response as Codec<unknown>, answer).length;
}

export interface Upkeep {
  /** Bytes a second of a node, by what they are for. */
  gossip: number;
  stabilise: number;
  unify: number;
  fingers: number;
  total: number;
  /** Node records fetched a second to reach those named in answers, and their bytes. */
  records: number;
  recordBytes: number;
}

const warmUpMs = 120_000;
/** A certificate and a passport. */
const credentialsBytes = 900;

export async function measureUpkeep(ring: ScaleRing, nodes: number, minutes: number): Promise<Upkeep> {
  const lookups = new Lookups(ring, 'upkeep');
  const sums = { gossip: 0, state: 0, notify: 0, find: 0, leave: 0, fingers: 0, records: 0 };
  for (let i = 0; i < nodes; i++) {
    const rank = lookups.liveRank();
    runMachine(ring, rank, minutes * 60_000, (call, answer) => {
      sums[call.method] += bytesOf(call, answer);
    });
    const { bytes, records } = await refreshFingers(
      ring,
      rank,
      lookups,
      Math.floor((minutes * 60_000) / fingerPeriodMs),
    );
    sums.fingers += bytes;
    sums.records += records;
  }
  const seconds = minutes * 60 * nodes;
  const [gossip, stabilise, unify, fingers] = [sums.gossip, sums.state + sums.notify, sums.find, sums.fingers].map(
    (sum) => sum / seconds,
  ) as [number, number, number, number];
  const records = sums.records / seconds;
  const total = gossip + stabilise + unify + fingers;
  return { gossip, stabilise, unify, fingers, total, records, recordBytes: records * recordBytes() };
}

/** The machine of a node, from where it is at home on, after its timers have backed off. */
function runMachine(
  ring: ScaleRing,
  rank: number,
  durationMs: number,
  count: (call: Call, answer: Answers[MethodName]) => void,
): void {
  const random = ring.random.fork(`machine ${rank}`);
  const machine = new Machine({ self: ring.entry(rank).node, positions: 1, incarnation: 1, random });
  machine.ring = ring.load(rank);
  const contacts = Array.from({ length: limits.knownContactsMax }, () => ring.entry(random.below(ring.size)).node);
  machine.join(contacts, 0);
  for (let now = 0; ; now = machine.nextWake) {
    if (now > warmUpMs + durationMs) return;
    if (now > 0) machine.wake(now);
    for (;;) {
      const calls = machine.takeOutbox();
      if (calls.length === 0) break;
      for (const { id, to, call } of calls) {
        const answer = answerTo(ring, random.below(ring.size), ring.rankOf(to), call);
        if (now > warmUpMs) count(call, answer);
        machine.answered(id, answer, now);
      }
    }
    machine.takeChanges();
  }
}

function answerTo(ring: ScaleRing, known: number, rank: number, call: Outgoing['call']): Answers[MethodName] {
  if (call.method === 'state') return ring.state(rank, call.request, known);
  if (call.method === 'find')
    return { answers: call.request.keys.map((key) => ring.find(rank, key, true, call.request.want)) };
  if (call.method === 'gossip') return { reached: true, incarnation: 1, serial: 0, news: [] };
  return {};
}

/** So many refreshes one after another: bytes of the lookups, and records of nodes it had none of. */
async function refreshFingers(
  ring: ScaleRing,
  rank: number,
  lookups: Lookups,
  count: number,
): Promise<{ bytes: number; records: number }> {
  const position = ring.load(rank).positions[0];
  const fingers = new Fingers([ring.entry(rank).point]);
  const records = new Set<NodeName>([...ring.fingersOf(rank), ...(position?.list ?? [])].map(({ node }) => node));
  let [bytes, fetched] = [0, 0];
  lookups.onAsk = (_rank, key, answer) => {
    bytes += bytesOf({ method: 'find', request: { keys: [key], strict: false, want: 255 } }, { answers: [answer] });
    for (const node of namedBy(answer)) {
      if (records.has(node)) continue;
      fetched++;
      if (records.size >= limits.nodeRecordsMax) records.delete(records.values().next().value as NodeName);
      records.add(node);
    }
  };
  for (let i = 0; i < count; i++) await lookups.run(rank, fingers.next([position?.list.at(-1)?.point]));
  lookups.onAsk = () => {};
  return { bytes, records: fetched };
}

function namedBy(answer: FindAnswer | undefined): NodeName[] {
  return unknownIn('find', { answers: [answer] }, () => undefined);
}

function recordBytes(): number {
  const record = signRecord(keyPairFromSeed(Buffer.alloc(32, 1)), {
    userKey: Buffer.alloc(32),
    endpoints: [{ host: '2001:db8::1234:5678', port: 4000 }],
    positions: 4,
    zone: undefined,
    capacityBytes: 0,
    freeBytes: 0,
    stores: [Buffer.alloc(8)],
    closed: false,
    leaving: false,
    serial: 1,
    credentials: Buffer.alloc(credentialsBytes),
  });
  return encode(nodeRecord, record).length;
}
