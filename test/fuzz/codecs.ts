// Every codec of the wire: requests and responses of all methods, and what is signed or stored inside them. What decodes must
// be what was encoded, bit by bit: one value has one encoding, or a signature could stand for two.

import { type Codec, decode, decodeParts, encode, encodeParts } from '../../src/core/base/codec.ts';
import {
  accessList,
  genesis,
  recovery,
  registerConfig,
  registerState,
  registerValue,
} from '../../src/core/block/register.ts';
import { rootHeader } from '../../src/core/consensus/consensus.ts';
import * as journalMessages from '../../src/core/consensus/journal/messages.ts';
import * as registerMessages from '../../src/core/consensus/register/messages.ts';
import * as kvMessages from '../../src/core/gateway/kv/messages.ts';
import { journalHead } from '../../src/core/node/late/journal-folder.ts';
import { PassportBook } from '../../src/core/node/passport-book.ts';
import * as chordMessages from '../../src/core/overlay/chord/messages.ts';
import * as kouncilMessages from '../../src/core/overlay/kouncil/messages.ts';
import * as ringMessages from '../../src/core/overlay/messages.ts';
import { nodeRecord } from '../../src/core/overlay/overlay.ts';
import { signedCertificate } from '../../src/core/peer/certificate.ts';
import { errorCodec, hello } from '../../src/core/peer/frames.ts';
import type { Method, Peers } from '../../src/core/peer/peer.ts';
import * as blockMessages from '../../src/core/store/messages.ts';
import * as sweepMessages from '../../src/core/store/sweep-messages.ts';
import { logRecord } from '../../src/core/tree/async/log.ts';
import { cycleRecord } from '../../src/core/tree/garbage/garbage.ts';
import { chunkRecord, superRecord } from '../../src/core/tree/keys.ts';
import * as lockMessages from '../../src/core/tree/locks/lock-messages.ts';
import * as treeMessages from '../../src/core/tree/messages.ts';
import { expectation } from '../../src/core/volume/files/expectation.ts';
import * as fileMessages from '../../src/core/volume/files/messages.ts';
import {
  deleteReply,
  getReply,
  keyOperation,
  keyQuery,
  listReply,
  putReply,
  valueRecord,
} from '../../src/core/volume/key-view.ts';
import type { SeededRandom } from '../simulator/runtime/random.ts';
import { accepted, damage, type Fuzzer, fuzzer, mustBe, mustEqual } from './fuzzer.ts';
import { sample } from './samples.ts';

export type AnyMethod = Method<unknown, unknown>;

const modules = [
  journalMessages,
  registerMessages,
  kvMessages,
  chordMessages,
  kouncilMessages,
  ringMessages,
  blockMessages,
  sweepMessages,
  treeMessages,
  lockMessages,
] as readonly Record<string, unknown>[];

/** All methods there are, by name. */
export const methods: readonly AnyMethod[] = [
  ...modules.flatMap((module) => Object.values(module).filter(isMethod)),
  ...passportMethods(),
].sort((a, b) => (a.name < b.name ? -1 : 1));

function isMethod(value: unknown): value is AnyMethod {
  return typeof value === 'object' && value !== null && 'request' in value && 'response' in value && 'right' in value;
}

/** Those of the passport book are its own. */
function passportMethods(): AnyMethod[] {
  const found: AnyMethod[] = [];
  const peers = { serve: (method: AnyMethod) => found.push(method), events: { on: () => () => {} } };
  new PassportBook({} as never).serve(peers as unknown as Peers);
  return found;
}

const others: Record<string, Codec<never> | Codec<unknown>> = {
  accessList,
  chunkRecord,
  cycleRecord,
  deleteReply,
  expectation,
  genesis,
  getReply,
  hello,
  journalHead,
  keyOperation,
  keyQuery,
  listReply,
  logRecord,
  nodeRecord,
  putReply,
  registerConfig,
  registerState,
  recovery,
  registerValue,
  rootHeader,
  signedCertificate,
  superRecord,
  valueRecord,
};

const codecs: [string, Codec<unknown>][] = [
  ...methods.flatMap((method): [string, Codec<unknown>][] => [
    [`${method.name} request`, method.request],
    [`${method.name} response`, method.response],
  ]),
  ...(Object.entries(others) as [string, Codec<unknown>][]),
  ...Object.entries(fileMessages).flatMap(([name, codec]): [string, Codec<unknown>][] =>
    isCodec(codec) ? [[`files ${name}`, codec]] : [],
  ),
];

function isCodec(value: unknown): value is Codec<unknown> {
  return typeof value === 'object' && value !== null && 'read' in value && 'write' in value;
}

export const codecFuzzers: readonly Fuzzer[] = [
  ...codecs.map(([name, codec]) => codecFuzzer(`codec ${name}`, codec)),
  fuzzer('codec error', {
    make: (random) => damage(random, encodeSample(random, errorCodec)),
    check: (bytes) => void accepted(() => decode(errorCodec, bytes)),
  }),
];

function codecFuzzer(name: string, codec: Codec<unknown>): Fuzzer {
  return fuzzer(name, {
    inputs: 60,
    make: (random) => {
      const parts = encodedParts(random, codec);
      const other = encodeSample(random, codec);
      const bytes = damage(random, parts.bytes, other);
      const headerLength = random.chance(0.8) ? parts.headerLength : random.below(bytes.length + 2);
      return { flat: damage(random, encodeSample(random, codec), other), bytes, headerLength };
    },
    check: ({ flat, bytes, headerLength }) => {
      const whole = accepted(() => decode(codec, flat));
      if (whole) mustEqual(encode(codec, whole.value), flat, 'a value has two encodings');
      const apart = accepted(() => decodeParts(codec, bytes, headerLength));
      if (!apart) return;
      const again = encodeParts(codec, apart.value);
      mustBe(again.header.length === headerLength, 'a value has headers of two lengths');
      mustEqual(Buffer.concat([again.header, ...again.attachments]), bytes, 'a value has two encodings in parts');
    },
  });
}

export function encodeSample<T>(random: SeededRandom, codec: Codec<T>): Buffer {
  const value = sample(random, codec);
  return value === undefined ? random.bytes(random.below(100)) : encode(codec, value);
}

/** As it travels: a header, attachments behind it. */
export function encodedParts<T>(random: SeededRandom, codec: Codec<T>): { bytes: Buffer; headerLength: number } {
  const value = sample(random, codec);
  if (value === undefined) return { bytes: random.bytes(random.below(100)), headerLength: 0 };
  const { header, attachments } = encodeParts(codec, value);
  return { bytes: Buffer.concat([header, ...attachments]), headerLength: header.length };
}
