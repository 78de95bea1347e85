// Messages of the Domain Name System, as far as finding nodes on the local network needs them (RFC 1035, 6762): questions, and records of
// the kinds A, PTR, TXT and SRV. Others may send anything: what is malformed is `corrupt`, records of other kinds are passed over.

import { InfinitError } from '../../base/errors.ts';

export const recordTypes = { a: 1, ptr: 12, txt: 16, srv: 33, any: 255 } as const;

const headerBytes = 12;
const labelBytesMax = 63;
const nameBytesMax = 255;
/** Of one message, in each section together. */
const entriesMax = 64;
const internet = 1;
/** Of a record: it replaces what was known; of a question: an answer to the asker alone will do. */
const topBit = 0x8000;
const flagsOfAnswers = 0x8400;

/** Names are lists of labels, in lower case. */
export interface Question {
  name: readonly string[];
  type: number;
  /** An answer to the asker alone will do. */
  unicast: boolean;
}

export interface Record {
  name: readonly string[];
  ttlSeconds: number;
  /** No other host has records of that name. */
  unique: boolean;
  data:
    | { type: 'a'; address: string }
    | { type: 'ptr'; target: readonly string[] }
    | { type: 'txt' }
    | { type: 'srv'; port: number; target: readonly string[] };
}

export interface Message {
  id: number;
  isAnswer: boolean;
  questions: Question[];
  /** Those of all sections. */
  records: Record[];
}

/** All records stand in the answer section. */
export function encodeMessage({ id, isAnswer, questions, records }: Message): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(isAnswer ? flagsOfAnswers : 0, 2);
  header.writeUInt16BE(questions.length, 4);
  header.writeUInt16BE(records.length, 6);
  const asked = questions.map(({ name, type, unicast }) =>
    Buffer.concat([encodeName(name), u16(type), u16(internet | (unicast ? topBit : 0))]),
  );
  return Buffer.concat([header, ...asked, ...records.map(encodeRecord)]);
}

function encodeRecord({ name, ttlSeconds, unique, data }: Record): Buffer {
  const body = encodeData(data);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(recordTypes[data.type], 0);
  fixed.writeUInt16BE(internet | (unique ? topBit : 0), 2);
  fixed.writeUInt32BE(ttlSeconds, 4);
  fixed.writeUInt16BE(body.length, 8);
  return Buffer.concat([encodeName(name), fixed, body]);
}

function encodeData(data: Record['data']): Buffer {
  if (data.type === 'a') return Buffer.from(data.address.split('.').map(Number));
  if (data.type === 'ptr') return encodeName(data.target);
  // One empty string: the record has to hold something.
  if (data.type === 'txt') return Buffer.from([0]);
  return Buffer.concat([u16(0), u16(0), u16(data.port), encodeName(data.target)]);
}

function encodeName(name: readonly string[]): Buffer {
  const labels = name.map((label) => {
    const bytes = Buffer.from(label, 'utf8');
    if (bytes.length === 0 || bytes.length > labelBytesMax)
      throw new InfinitError('internal', `bad label in a name: ${label}`);
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

/** Throws `corrupt`. */
export function decodeMessage(bytes: Buffer): Message {
  const reader = new MessageReader(bytes);
  const [id, flags, asked, answers, authorities, additional] = Array.from({ length: 6 }, () => reader.u16()) as [
    ...[number, number, number, number, number, number],
  ];
  const others = answers + authorities + additional;
  if (asked > entriesMax || others > entriesMax) throw corrupt('too many entries');
  const questions = Array.from({ length: asked }, () => reader.question());
  const records = Array.from({ length: others }, () => reader.record()).filter((one) => one !== undefined);
  return { id, isAnswer: (flags & topBit) !== 0, questions, records };
}

class MessageReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  u16(): number {
    const at = this.skip(2);
    return this.bytes.readUInt16BE(at);
  }

  question(): Question {
    const name = this.name();
    const type = this.u16();
    return { name, type, unicast: (this.u16() & topBit) !== 0 };
  }

  /** Undefined for one of a kind not known here. */
  record(): Record | undefined {
    const name = this.name();
    const [type, classAndBit] = [this.u16(), this.u16()];
    const ttlSeconds = this.bytes.readUInt32BE(this.skip(4));
    const length = this.u16();
    const begin = this.at;
    const end = this.skip(length) + length;
    const data = (classAndBit & ~topBit) === internet ? this.data(type, begin, length) : undefined;
    this.at = end;
    return data && { name, ttlSeconds, unique: (classAndBit & topBit) !== 0, data };
  }

  private data(type: number, begin: number, length: number): Record['data'] | undefined {
    this.at = begin;
    switch (type) {
      case recordTypes.a:
        if (length !== 4) throw corrupt('an address of another length');
        return { type: 'a', address: [...this.bytes.subarray(begin, begin + 4)].join('.') };
      case recordTypes.ptr:
        return { type: 'ptr', target: this.name() };
      case recordTypes.txt:
        return { type: 'txt' };
      case recordTypes.srv: {
        this.skip(4);
        const port = this.u16();
        return { type: 'srv', port, target: this.name() };
      }
      default:
        return undefined;
    }
  }

  /** Follows pointers, which lead backwards only: so each byte is read once. */
  private name(): string[] {
    const labels: string[] = [];
    let bytes = 0;
    let back: number | undefined;
    let lowest = this.at;
    for (;;) {
      const length = this.bytes[this.skip(1)] as number;
      if (length === 0) break;
      if (length >= 0xc0) {
        const target = ((length & 0x3f) << 8) | (this.bytes[this.skip(1)] as number);
        back ??= this.at;
        if (target >= lowest) throw corrupt('a pointer that leads nowhere');
        this.at = lowest = target;
        continue;
      }
      if (length > labelBytesMax) throw corrupt('a label of another kind');
      const at = this.skip(length);
      bytes += length + 1;
      if (bytes >= nameBytesMax) throw corrupt('a name that is too long');
      labels.push(this.bytes.toString('utf8', at, at + length).toLowerCase());
    }
    this.at = back ?? this.at;
    return labels;
  }

  private skip(count: number): number {
    const at = this.at;
    if (at + count > this.bytes.length) throw corrupt('it is truncated');
    this.at = at + count;
    return at;
  }
}

function corrupt(what: string): InfinitError {
  return new InfinitError('corrupt', `a message of the local network is malformed: ${what}`);
}
