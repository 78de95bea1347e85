// At most once, across leaders: what each client was answered stands in the tree, written by the effects of the operation
// itself (docs/protocols.md 4.6). This is the leader's view of these records.

import { type Bytes, concatBytes, toHex, u64Bytes } from '../base/bytes.ts';
import { bytes, type Codec, decode, encode, struct, u64 } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Effect, MapReader, Transaction } from './tree.ts';

/** First byte of the keys; `s` client: the session, `s` client, opSeq: an answer. */
export const sessionSpace = Buffer.from('s');
export const sessionSpaceEnd = Buffer.from('t');

interface SessionRecord {
  /** Operations below were answered, and the client knows. */
  lowest: number;
  /** Wall time of the leader; only to forget sessions long silent. */
  seenAt: number;
}
const sessionRecord: Codec<SessionRecord> = struct({ lowest: u64, seenAt: u64 });

export interface Answer {
  sequence: number;
  reply: Bytes;
}
const answer: Codec<Answer> = struct({ sequence: u64, reply: bytes(limits.answerBytesMax) });

interface Session extends SessionRecord {
  /** Whether a record of it is in the tree (or on its way). */
  recorded: boolean;
  answers: Map<number, Answer>;
}

/** A session silent for so long is forgotten. */
export const sessionSilenceMs = 60 * 60 * 1000;
const refreshMs = 10 * 60 * 1000;
const sweptMax = 1024;
/** The lower bound moves in steps, so that most operations write one record only. */
const lowestStep = limits.sessionWindowMax / 4;

/** What became of an operation that is asked for. */
export type Admitted = { type: 'new' } | { type: 'answered'; answer: Answer } | { type: 'expired' };

/** Used by one task at a time: the leader's executor. */
export class Sessions {
  private readonly cached = new Map<string, Session>();

  /** Throws `conflict` for an operation whose answer the client has confirmed, `full` outside its window, `usage` for nonsense. */
  async admit(reader: MapReader, client: Bytes, opSeq: number, ackedThrough: number): Promise<Admitted> {
    if (ackedThrough >= opSeq) throw new InfinitError('usage', 'an operation that was answered is not asked for');
    const session = await this.session(reader, client);
    if (session === undefined) {
      if (ackedThrough > 0) return { type: 'expired' };
      this.remember(client, { lowest: 1, seenAt: 0, recorded: false, answers: new Map() });
      return { type: 'new' };
    }
    const known = session.answers.get(opSeq);
    if (known !== undefined) return { type: 'answered', answer: known };
    if (opSeq < session.lowest) throw new InfinitError('conflict', 'the operation was answered before');
    if (opSeq > Math.max(ackedThrough + 1, session.lowest) + limits.sessionWindowMax)
      throw new InfinitError('full', `more than ${limits.sessionWindowMax} operations of one client at once`);
    return { type: 'new' };
  }

  /** The records an executed operation adds; empty for one that changes nothing, once the session is recorded. */
  effects(client: Bytes, opSeq: number, ackedThrough: number, given: Answer, changes: boolean, now: number): Effect[] {
    const session = this.cached.get(toHex(client));
    if (session === undefined) throw new InfinitError('internal', 'operation was not admitted');
    const out: Effect[] = [];
    if (changes) out.push({ type: 'put', key: answerKey(client, opSeq), value: encode(answer, given) });
    const moves = ackedThrough + 1 - session.lowest >= lowestStep;
    if (!moves && session.recorded && (!changes || now - session.seenAt < refreshMs)) return out;
    const lowest = moves ? ackedThrough + 1 : session.lowest;
    if (moves) out.push({ type: 'deleteRange', from: answerKey(client, 0), to: answerKey(client, lowest) });
    out.push({ type: 'put', key: sessionKey(client), value: encode(sessionRecord, { lowest, seenAt: now }) });
    return out;
  }

  /** The records of `effects` are in the memtable. */
  applied(client: Bytes, opSeq: number, given: Answer, effects: readonly Effect[]): void {
    const session = this.cached.get(toHex(client));
    if (session === undefined) return;
    for (const effect of effects) {
      if (effect.type === 'deleteRange')
        for (const old of session.answers.keys()) if (old < lowestOf(effect)) session.answers.delete(old);
      if (effect.type !== 'put') continue;
      if (effect.key.length > sessionKeyBytes) session.answers.set(opSeq, given);
      else Object.assign(session, decode(sessionRecord, effect.value), { recorded: true });
    }
  }

  /** Forgets sessions silent for an hour, some at a time; whether there may be more. */
  async sweep(transaction: Transaction, now: number): Promise<boolean> {
    const expired = await this.expired(transaction, now);
    for (const effect of expired) if (effect.type === 'deleteRange') transaction.deleteRange(effect.from, effect.to);
    return expired.length >= sweptMax;
  }

  async expired(reader: MapReader, now: number): Promise<Effect[]> {
    const out: Effect[] = [];
    for await (const { key, value } of reader.scan(sessionSpace, sessionSpaceEnd)) {
      if (key.length !== sessionKeyBytes) continue;
      if (now - decode(sessionRecord, value).seenAt < sessionSilenceMs) continue;
      out.push({ type: 'deleteRange', from: key, to: answerKey(key.subarray(1), Number.MAX_SAFE_INTEGER) });
      this.cached.delete(toHex(key.subarray(1)));
      if (out.length >= sweptMax) break;
    }
    return out;
  }

  private async session(reader: MapReader, client: Bytes): Promise<Session | undefined> {
    const cached = this.cached.get(toHex(client));
    if (cached !== undefined) return cached;
    let found: Session | undefined;
    for await (const { key, value } of reader.scan(sessionKey(client), answerKey(client, Number.MAX_SAFE_INTEGER))) {
      found ??= { lowest: 1, seenAt: 0, recorded: true, answers: new Map() };
      if (key.length === sessionKeyBytes) Object.assign(found, decode(sessionRecord, value));
      else found.answers.set(Number(Buffer.from(key).readBigUInt64BE(sessionKeyBytes)), decode(answer, value));
    }
    if (found !== undefined) this.remember(client, found);
    return found;
  }

  private remember(client: Bytes, session: Session): void {
    // What was recorded is in the tree: a forgotten session is read again when its client speaks.
    if (this.cached.size >= limits.sessionsMax) this.cached.delete(this.cached.keys().next().value as string);
    this.cached.set(toHex(client), session);
  }
}

const sessionKeyBytes = 1 + 16;

function sessionKey(client: Bytes): Buffer {
  return concatBytes([sessionSpace, client]);
}
function answerKey(client: Bytes, opSeq: number): Buffer {
  return concatBytes([sessionSpace, client, u64Bytes(opSeq)]);
}
function lowestOf(effect: { to: Bytes }): number {
  return Number(Buffer.from(effect.to).readBigUInt64BE(sessionKeyBytes));
}
