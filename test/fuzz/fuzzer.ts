// What a fuzzer is, and how one is run: an input from a seed, then what must hold of it. A violation names fuzzer and seed, so
// that `npm run fuzz -- --only NAME --seed N --count 1` shows it again.

import { asBuffer, type Bytes, equalBytes, toHex } from '../../src/core/base/bytes.ts';
import { type ErrorKind, isError } from '../../src/core/base/errors.ts';
import { SeededRandom } from '../simulator/runtime/random.ts';

export interface Fuzzer {
  readonly name: string;
  /** Inputs the test suite tries. */
  readonly inputs: number;
  /** Makes one input and checks it. Throws when what must hold does not. */
  attempt(random: SeededRandom): Promise<void>;
}

export interface FuzzerParts<I> {
  inputs?: number;
  make(random: SeededRandom): I | Promise<I>;
  check(input: I): void | Promise<void>;
}

/** One input may keep the processor this long, however busy the machine is: beyond it hangs. */
const busyMsMax = 5000;

export function fuzzer<I>(name: string, { inputs = 200, make, check }: FuzzerParts<I>): Fuzzer {
  return {
    name,
    inputs,
    attempt: async (random) => {
      const input = await make(random);
      const began = process.cpuUsage();
      try {
        await check(input);
      } catch (error) {
        throw new Error(`with ${shown(input)}`, { cause: error });
      }
      const { user, system } = process.cpuUsage(began);
      const busyMs = Math.round((user + system) / 1000);
      if (busyMs > busyMsMax) throw new Error(`was busy for ${busyMs} ms with ${shown(input)}`);
    },
  };
}

export class Violation extends Error {
  constructor(name: string, seed: number, cause: unknown) {
    super(`fuzzer ${name}, seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'Violation';
  }
}

/** Throws a `Violation` when the input of that seed shows one. */
export async function tryInput(subject: Fuzzer, seed: number): Promise<void> {
  try {
    await subject.attempt(new SeededRandom(`${subject.name}/${seed}`));
  } catch (error) {
    throw new Violation(subject.name, seed, error);
  }
}

/** Kinds in which hostile input may be refused; all others are bugs. */
const refusals: readonly ErrorKind[] = [
  'corrupt',
  'denied',
  'unsupported',
  'usage',
  'full',
  'conflict',
  'not-found',
  'exists',
];

/** What the task gives, or undefined when it refuses as it should. Anything else it throws goes on. */
export function accepted<T>(task: () => T): { value: T } | undefined {
  try {
    return { value: task() };
  } catch (error) {
    if (isError(error, ...refusals)) return undefined;
    throw error;
  }
}

/** The same of a promise; `also` are kinds that fit the occasion. */
export async function acceptedLater<T>(
  task: () => Promise<T> | T,
  ...also: ErrorKind[]
): Promise<{ value: T } | undefined> {
  try {
    return { value: await task() };
  } catch (error) {
    if (isError(error, ...refusals, ...also)) return undefined;
    throw error;
  }
}

export function mustBe(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

export function mustEqual(actual: Bytes, wanted: Bytes, what: string): void {
  mustBe(equalBytes(actual, wanted), `${what}: ${excerpt(actual)} is not ${excerpt(wanted)}`);
}

export function pick<T>(random: SeededRandom, list: readonly T[]): T {
  return list[random.below(list.length)] as T;
}

const edges = [0, 1, 2, 15, 16, 127, 128, 255, 256, 4095, 65_535, 65_536, 0x7fff_ffff, 0xffff_ffff];

/** The bytes, damaged in up to four places: flipped, cut, lengthened, repeated, with edge numbers, or not at all. */
export function damage(random: SeededRandom, whole: Bytes, other: Bytes = whole): Buffer {
  if (random.chance(0.03)) return random.bytes(random.below(300));
  let bytes = Buffer.from(whole);
  for (let left = random.below(5); left > 0; left--) bytes = Buffer.from(damageOnce(random, bytes, asBuffer(other)));
  return bytes;
}

function damageOnce(random: SeededRandom, bytes: Buffer, other: Buffer): Buffer {
  const at = random.below(bytes.length + 1);
  const length = random.below(Math.min(64, bytes.length - at + 1));
  switch (random.below(8)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(40)), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length + 1))]);
    case 5: {
      const size = pick(random, [1, 2, 4]);
      if (at + size > bytes.length) return bytes;
      bytes.writeUIntBE(pick(random, edges) % 256 ** size, at, size);
      return bytes;
    }
    case 6:
      if (at < bytes.length) bytes[at] = random.below(256);
      return bytes;
    default:
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
      return bytes;
  }
}

function shown(input: unknown): string {
  if (input instanceof Uint8Array) return excerpt(input);
  const text = JSON.stringify(input, (_key, value) => (value?.type === 'Buffer' ? excerpt(Buffer.from(value)) : value));
  return (text ?? String(input)).slice(0, 600);
}

function excerpt(bytes: Bytes): string {
  return `${bytes.length} bytes ${toHex(bytes.subarray(0, 200))}`;
}
