// What travels between two peers: a prefix of 12 bytes {kind 1, flags 1, method 2, call 4, header length 4}, the encoded
// header, attachments as they are. Greeting frames carry no attachments.

import type { Bytes } from '../base/bytes.ts';
import { bytes, type Codec, oneOf, optional, struct, text, u16 } from '../base/codec.ts';
import { errorKinds, InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';

export const protocolVersions = { min: 1, max: 1 } as const;

export const frameKinds = {
  hello: 1,
  refusal: 2,
  request: 3,
  reply: 4,
  failure: 5,
  cancel: 6,
  ping: 7,
  pong: 8,
} as const;
export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];

export const frameFlags = {
  /** Of a request: the method's name stands between prefix and header, and the number now means it. */
  named: 1,
  /** Of an answer: the method's number is known, its name need not be sent again. */
  known: 2,
} as const;

export const prefixBytes = 12;

export interface Frame {
  kind: number;
  flags: number;
  method: number;
  call: number;
  headerLength: number;
  /** Header and attachments. */
  body: Buffer;
}

export function framePrefix(kind: FrameKind, call = 0, headerLength = 0, method = 0, flags = 0): Buffer {
  const out = Buffer.allocUnsafe(prefixBytes);
  out[0] = kind;
  out[1] = flags;
  out.writeUInt16BE(method, 2);
  out.writeUInt32BE(call, 4);
  out.writeUInt32BE(headerLength, 8);
  return out;
}

/** Throws `corrupt` for what cannot be a frame. */
export function parseFrame(frame: Buffer): Frame {
  if (frame.length < prefixBytes) throw new InfinitError('corrupt', 'frame is truncated');
  const headerLength = frame.readUInt32BE(8);
  const body = frame.subarray(prefixBytes);
  if (headerLength > body.length) throw new InfinitError('corrupt', 'frame header is truncated');
  return {
    kind: frame[0] as number,
    flags: frame[1] as number,
    method: frame.readUInt16BE(2),
    call: frame.readUInt32BE(4),
    headerLength,
    body,
  };
}

/** Splits the name off the body of a named request. */
export function splitName(body: Buffer): { name: string; rest: Buffer } {
  const length = body[0] ?? 0;
  if (length === 0 || 1 + length > body.length) throw new InfinitError('corrupt', 'method name is truncated');
  return { name: body.toString('latin1', 1, 1 + length), rest: body.subarray(1 + length) };
}

export function namePart(name: string): Buffer {
  const out = Buffer.from(` ${name}`, 'latin1');
  if (out.length > 256) throw new InfinitError('internal', `method name is too long: ${name}`);
  out[0] = out.length - 1;
  return out;
}

export interface Hello {
  versionMin: number;
  versionMax: number;
  /** Credentials, for admission to judge. */
  presented: Bytes;
}
export const hello: Codec<Hello> = struct({
  versionMin: u16,
  versionMax: u16,
  presented: bytes(limits.presentedBytesMax),
});

const messageCharsMax = 2048;
const dataBytesMax = 8192;

const wireError = struct({
  kind: oneOf(errorKinds),
  message: text(4 * messageCharsMax),
  hint: optional(text(4 * messageCharsMax)),
  data: optional(text(dataBytesMax)),
});

/** An error as it crosses: kind, message and hint whole (cut when very long), data when it is small. */
export const errorCodec: Codec<InfinitError> = {
  write: (writer, error) =>
    wireError.write(writer, {
      kind: error.kind,
      message: error.message.slice(0, messageCharsMax),
      hint: error.hint?.slice(0, messageCharsMax),
      data: dataText(error.data),
    }),
  read: (reader) => {
    const { kind, message, hint, data } = wireError.read(reader);
    const details: { hint?: string; data?: Record<string, unknown> } = {};
    if (hint !== undefined) details.hint = hint;
    if (data !== undefined) details.data = dataObject(data);
    return new InfinitError(kind, message, details);
  },
};

function dataText(data: Record<string, unknown> | undefined): string | undefined {
  if (data === undefined) return undefined;
  try {
    const json = JSON.stringify(data);
    return Buffer.byteLength(json) <= dataBytesMax ? json : undefined;
  } catch {
    return undefined;
  }
}

function dataObject(json: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new InfinitError('corrupt', 'error data is not JSON', { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InfinitError('corrupt', 'error data is not an object');
  return value as Record<string, unknown>;
}

export function sizeOf(parts: readonly Bytes[]): number {
  let sum = 0;
  for (const part of parts) sum += part.length;
  return sum;
}
