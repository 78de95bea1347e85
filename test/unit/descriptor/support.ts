// A home in a temporary folder, with a clock and chance that tests rule, and short ways to users, networks and devices.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { toBase64, u32Bytes, utf8 } from '../../../src/core/base/bytes.ts';
import { type ErrorKind, InfinitError } from '../../../src/core/base/errors.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { type DescriptorContext, descriptorContext } from '../../../src/core/descriptor/context.ts';
import type { Founding, Home } from '../../../src/core/descriptor/descriptor.ts';
import type { Found } from '../../../src/core/descriptor/links.ts';
import { exportUser, importUser } from '../../../src/core/descriptor/users.ts';
import { systemFiles } from '../../../src/core/runtime/system/files.ts';

export interface TestDevice extends DescriptorContext {
  /** Sets the wall clock. */
  time(now: number): void;
  /** What was logged. */
  readonly logged: string[];
}

/** 2026-01-01. */
export const start = 1_767_225_600_000;

/** Chance that is the same each time: a hash of a counter. */
export function seededBytes(seed: string): (count: number) => Buffer {
  let counter = 0;
  return (count) => hash(utf8(seed), u32Bytes(counter++)).subarray(0, count);
}

export function homeIn(root: string): Home {
  return {
    data: join(root, 'data'),
    cache: join(root, 'cache'),
    state: join(root, 'state'),
    config: join(root, 'config'),
    runtime: join(root, 'runtime'),
  };
}

export function deviceIn(root: string, seed: string): TestDevice {
  let now = start;
  const logged: string[] = [];
  const context = descriptorContext(
    {
      clock: { now: () => now, monotonic: () => now, sleep: async () => {}, after: () => () => {} },
      random: { bytes: seededBytes(seed), below: () => 0, fraction: () => 0 },
      files: systemFiles(),
      log: { write: (_level, _component, message) => logged.push(message) },
    },
    homeIn(root),
  );
  return Object.assign(context, { logged, time: (value: number) => (now = value) });
}

export async function newDevice(t: TestContext, seed: string = t.name): Promise<TestDevice> {
  const root = await mkdtemp(join(tmpdir(), 'infinit-descriptor-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  return deviceIn(root, seed);
}

/** A founding as the node would make it. */
export const someFounding: Founding = {
  register: toBase64(Buffer.alloc(32, 7)),
  node: toBase64(Buffer.alloc(32, 8)),
  store: toBase64(Buffer.alloc(8, 9)),
};
export const found: Found = async (link) => ({ ...someFounding, node: link.node_id });

/** Makes users of one device known on another. */
export async function carryUsers(
  from: DescriptorContext,
  to: DescriptorContext,
  names: string[],
  full = false,
): Promise<void> {
  for (const name of names) await importUser(to, JSON.stringify(await exportUser(from, name, { full })));
}

/** For `assert.rejects` and `assert.throws`. */
export function failsWith(kind: ErrorKind, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof InfinitError)) throw error;
    if (error.kind !== kind || !message.test(error.message))
      throw new Error(`expected ${kind} ${message}, got ${error.kind}: ${error.message}`);
    return true;
  };
}
