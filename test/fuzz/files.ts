// A tree of files whose leader is sent operations that come late, made up and damaged: each is done or refused, all of a replay
// or nothing of it, and what must hold of the records holds.

import type { Bytes } from '../../src/core/base/bytes.ts';
import { type Codec, decode, encode, type Reader } from '../../src/core/base/codec.ts';
import {
  type FileOperation,
  fileOperation,
  type LateOperation,
  reserveReply,
} from '../../src/core/volume/files/messages.ts';
import { SeededRandom } from '../simulator/runtime/random.ts';
import { bytes, client, ViewTree } from '../unit/volume/files/view-tree.ts';
import { acceptedLater, damage, type Fuzzer, fuzzer, mustBe, mustEqual, pick } from './fuzzer.ts';
import { sample } from './samples.ts';

const journal = Buffer.alloc(16, 1);
const names = [...['a', 'b', 'c', 'd'].map(bytes), Buffer.alloc(255, 0xe9)];
const operationsPerType = 20;
/** What comes late most. */
const often = ['make', 'link', 'unlink', 'removeDirectory', 'rename', 'write', 'append', 'change'];

interface Scene {
  random: SeededRandom;
  operations: Operations;
  tree: ViewTree;
  /** Inodes there are or may be: the root, made by others, reserved, of the leader. */
  inodes: number[];
}

async function scene(random: SeededRandom, operations: Operations): Promise<Scene> {
  const tree = await ViewTree.begun();
  const folder = await tree.make('a', { type: 'directory' });
  const file = await tree.make('b');
  const inner = await tree.make('c', {}, folder.inode);
  await tree.writeBytes(file.inode, 0, bytes('something'));
  const first = decode(reserveReply, await tree.do({ type: 'reserve', count: 4 }));
  const made = [folder, file, inner].map(({ inode }) => inode);
  const others = [inner.inode + 1, first, first + 1, first + 2, first + 3, first + 4];
  return { random, operations, tree, inodes: [1, ...made, ...others] };
}

type Operations = Map<string, FileOperation[]>;
/** Made when first asked for. */
let wellFormed: Operations | undefined;

/** Well-formed ones of every type. */
function makeOperations(): Operations {
  const random = new SeededRandom('operations');
  const made: Operations = new Map();
  for (let tag = 0; ; tag++) {
    const list = Array.from({ length: operationsPerType }, () => sample(random, tagged(tag), [client, journal]));
    const found = list.filter((one) => one !== undefined);
    const [first] = found;
    if (first === undefined) return made;
    made.set(first.type, found);
  }
}

/** Reads an operation of that tag whatever comes first. */
function tagged(tag: number): Codec<FileOperation> {
  const read = (reader: Reader) => {
    const chance = reader.u8;
    reader.u8 = () => {
      reader.u8 = chance;
      return tag;
    };
    return fileOperation.read(reader);
  };
  return { ...fileOperation, read };
}

/** Inodes and names that mean something here. */
function aimed(random: SeededRandom, value: unknown, inodes: readonly number[]): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map((one) => aimed(random, one, inodes));
  const fields = Object.entries(value).map(([key, field]) => {
    const isInode = typeof field === 'number' && (key === 'inode' || key === 'directory');
    if (isInode && random.chance(0.95)) return [key, pick(random, inodes)];
    if (key === 'name' && field !== undefined && random.chance(0.9)) return [key, pick(random, names)];
    return [key, aimed(random, field, inodes)];
  });
  return Object.fromEntries(fields);
}

async function someLate({ random, operations, tree, inodes }: Scene, number: number): Promise<LateOperation> {
  const type = pick(random, random.chance(0.8) ? often : [...operations.keys()]);
  const one = pick(random, operations.get(type) ?? []);
  const operation = aimed(random, one, inodes) as FileOperation;
  const made = operation.type === 'make' || random.chance(0.1) ? pick(random, inodes) : undefined;
  const seen = [];
  for (let left = random.below(3); left > 0; left--) {
    const inode = pick(random, inodes);
    const found = random.chance(0.8) ? (await tree.inodes()).get(inode) : undefined;
    seen.push({ inode, changed: found?.changed ?? tree.tick() });
  }
  const without = random.chance(0.2) ? [pick(random, inodes)] : [];
  const encoded = encode(fileOperation, operation);
  return { number, made, seen, without, operation: random.chance(0.1) ? damage(random, encoded) : encoded };
}

async function recordsOf(tree: ViewTree): Promise<Bytes> {
  const parts: Bytes[] = [];
  for await (const { key, value } of tree.reader.scan(Buffer.from([0]), Buffer.from([255]))) parts.push(key, value);
  return Buffer.concat(parts);
}

export const fileFuzzers: readonly Fuzzer[] = [
  fuzzer('late operations', {
    inputs: 50,
    make: (random) => {
      wellFormed ??= makeOperations();
      return { random, operations: wellFormed };
    },
    check: async ({ random, operations: all }) => {
      const set = await scene(random, all);
      const { tree } = set;
      for (let batch = 0, number = 1; batch < 8; batch++) {
        const operations: LateOperation[] = [];
        for (let left = 1 + random.below(3); left > 0; left--) operations.push(await someLate(set, number++));
        const asked = { type: 'replay', journal, label: 'bob', now: tree.tick(), operations } as const;
        const before = await recordsOf(tree);
        const done = await acceptedLater(() => tree.do(asked));
        const after = await recordsOf(tree);
        if (!done) mustEqual(after, before, 'a refused replay did something');
        if (random.chance(0.3)) await acceptedLater(() => tree.make(pick(random, ['x', 'y', 'z'])));
        await tree.check();
        const again = await recordsOf(tree);
        if (done) await tree.do(asked);
        mustBe(!done || (await recordsOf(tree)).length === again.length, 'a replay happened twice');
      }
    },
  }),
];
