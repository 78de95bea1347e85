// Messages of the Port Control Protocol (RFC 6887), as far as TCP ports of IPv4 need them.

import { isIPv4 } from 'node:net';
import type { Bytes } from '../../base/bytes.ts';
import { corruptAnswer } from './protocol.ts';

const version = 2;
const headerBytes = 24;
const mapBytes = 36;
const messageBytesMax = 1100;
export const nonceBytes = 12;
const tcp = 6;
const opcodes = { announce: 0, map: 1 } as const;
const answerBit = 0x80;
const mappedPrefix = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
/** What routers say that speak another version. */
const unsupportedVersion = 1;

/** RFC 6887 7.4. */
export const pcpResults: readonly string[] = [
  'success',
  'another version',
  'not authorized',
  'malformed request',
  'no such operation',
  'no such option',
  'malformed option',
  'no network',
  'no resources',
  'no such protocol',
  'too many mappings',
  'no such external address',
  'it sees another address of this machine',
  'too many peers',
];

export interface PcpMapRequest {
  /** The address of this machine. */
  own: string;
  /** The same for all requests about one mapping. */
  nonce: Bytes;
  port: number;
  externalPort: number;
  /** 0 takes it off. */
  lifetimeSeconds: number;
}

export interface PcpAnswer {
  result: number;
  lifetimeSeconds: number;
  epochSeconds: number;
  /** Absent where it answers something else. */
  map?: { nonce: Buffer; port: number; externalPort: number; external: string };
}

export function encodePcpMap({ own, nonce, port, externalPort, lifetimeSeconds }: PcpMapRequest): Buffer {
  const message = Buffer.alloc(headerBytes + mapBytes);
  writeHeader(message, opcodes.map, lifetimeSeconds, own);
  message.set(nonce, headerBytes);
  message[headerBytes + 12] = tcp;
  message.writeUInt16BE(port, headerBytes + 16);
  message.writeUInt16BE(externalPort, headerBytes + 18);
  message.set(mappedPrefix, headerBytes + 20); // any IPv4 address
  return message;
}

/** Asks nothing but for an answer. */
export function encodePcpAnnounce(own: string): Buffer {
  const message = Buffer.alloc(headerBytes);
  writeHeader(message, opcodes.announce, 0, own);
  return message;
}

function writeHeader(message: Buffer, opcode: number, lifetimeSeconds: number, own: string): void {
  message[0] = version;
  message[1] = opcode;
  message.writeUInt32BE(lifetimeSeconds, 4);
  message.set(mappedPrefix, 8);
  message.set(own.split('.').map(Number), 20);
}

/** Throws `corrupt`. */
export function decodePcp(bytes: Buffer): PcpAnswer {
  const [spoken = version, opcode = 0] = bytes;
  // An older protocol's refusal of this one, in its own form (RFC 6887 appendix A).
  if (bytes.length >= 4 && spoken < version && (opcode & answerBit) !== 0)
    return { result: unsupportedVersion, lifetimeSeconds: 0, epochSeconds: 0 };
  if (bytes.length < headerBytes || bytes.length > messageBytesMax || bytes.length % 4 !== 0)
    throw corruptAnswer('a message of another length');
  if (spoken !== version || (opcode & answerBit) === 0) throw corruptAnswer('not a message of this protocol');
  const answer = {
    result: bytes.readUInt8(3),
    lifetimeSeconds: bytes.readUInt32BE(4),
    epochSeconds: bytes.readUInt32BE(8),
  };
  if (opcode !== (opcodes.map | answerBit)) return answer;
  if (bytes.length < headerBytes + mapBytes) {
    if (answer.result !== 0) return answer;
    throw corruptAnswer('it is truncated');
  }
  const body = bytes.subarray(headerBytes);
  if (body[12] !== tcp) throw corruptAnswer('a mapping of another kind');
  const [port, externalPort] = [body.readUInt16BE(16), body.readUInt16BE(18)];
  return { ...answer, map: { nonce: body.subarray(0, nonceBytes), port, externalPort, external: addressOf(body) } };
}

/** Empty for one of IPv6: none was asked for. */
function addressOf(body: Buffer): string {
  const address = [...body.subarray(32, 36)].join('.');
  return body.subarray(20, 32).equals(mappedPrefix) && isIPv4(address) ? address : '';
}
