// Messages of the NAT Port Mapping Protocol (RFC 6886), for TCP ports.

import { corruptAnswer } from './protocol.ts';

const version = 0;
const operations = { address: 0, mapTcp: 2 } as const;
const answerBit = 0x80;

/** RFC 6886 3.5. */
export const natPmpResults: readonly string[] = [
  'success',
  'another version',
  'not authorized',
  'no network',
  'no resources',
  'no such operation',
];

/** What is asked for, and what is got. A lifetime of 0 takes a mapping off. */
export interface NatPmpMapping {
  port: number;
  externalPort: number;
  lifetimeSeconds: number;
}

export interface NatPmpAnswer {
  operation: 'address' | 'map';
  result: number;
  epochSeconds: number;
  /** What was asked for, when it succeeded. */
  external?: string;
  mapping?: NatPmpMapping;
}

export function encodeNatPmpAddress(): Buffer {
  return Buffer.from([version, operations.address]);
}

export function encodeNatPmpMap({ port, externalPort, lifetimeSeconds }: NatPmpMapping): Buffer {
  const message = Buffer.alloc(12);
  message[1] = operations.mapTcp;
  message.writeUInt16BE(port, 4);
  message.writeUInt16BE(externalPort, 6);
  message.writeUInt32BE(lifetimeSeconds, 8);
  return message;
}

/** Throws `corrupt`. */
export function decodeNatPmp(bytes: Buffer): NatPmpAnswer {
  const [spoken, code] = bytes;
  const operation = code === (operations.address | answerBit) ? 'address' : 'map';
  const isKnown = operation === 'address' || code === (operations.mapTcp | answerBit);
  if (spoken !== version || !isKnown || bytes.length < 8) throw corruptAnswer('not a message of this protocol');
  const answer = { operation, result: bytes.readUInt16BE(2), epochSeconds: bytes.readUInt32BE(4) } as const;
  if (answer.result !== 0) return answer;
  if (bytes.length !== (operation === 'address' ? 12 : 16)) throw corruptAnswer('a message of another length');
  if (operation === 'address') return { ...answer, external: [...bytes.subarray(8)].join('.') };
  const [port, externalPort] = [bytes.readUInt16BE(8), bytes.readUInt16BE(10)];
  return { ...answer, mapping: { port, externalPort, lifetimeSeconds: bytes.readUInt32BE(12) } };
}
