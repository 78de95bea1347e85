// The differential test of files: random steps of several clients, one after another, over a subject and over the model in
// memory. Every answer or error number must be the same; now and then everything is walked by every client and compared.
// The subject is anything that carries out steps: files views in this process, or mounted directories.

import { isDeepStrictEqual } from 'node:util';
import { MemoryFiles } from '../fakes/memory-files.ts';
import { digest, FilesExecutor, type Owner } from './files-executor.ts';
import { StepGenerator } from './files-generator.ts';
import {
  describeStep,
  type Executor,
  type Operation,
  type Outcome,
  outcomeOf,
  type Path,
  type Place,
  type Stated,
  type Step,
} from './files-steps.ts';

export interface LoadOptions {
  seed: number;
  /** Steps. */
  operations: number;
  clients: number;
  /** Which to do; all by default. */
  kinds?: readonly Operation[] | undefined;
  /** Steps between two walks of everything. */
  walkEvery?: number;
  fileBytesMax?: number;
  /** Of the root directory and all that is made. */
  owner?: Owner;
  /** Before each walk. */
  between?: (() => Promise<void>) | undefined;
}

/** A fresh subject, for the first run and for those that look for a shorter one. */
export interface Opened {
  subject: Executor;
  between?: () => Promise<void>;
  close(): Promise<void>;
}

export interface LoadResult {
  operations: number;
  /** Steps that did something, rather than being refused. */
  done: number;
  /** Entries found by the last walk. */
  entries: number;
}

/** Subject and model differ. */
export class Mismatch extends Error {
  /** All up to the one that showed it. */
  readonly steps: readonly Step[];

  constructor(message: string, steps: readonly Step[]) {
    super(message);
    this.steps = steps;
  }
}

/** Random steps. Throws `Mismatch`. */
export async function runFilesLoad(subject: Executor, options: LoadOptions): Promise<LoadResult> {
  const { seed, operations, clients, kinds, walkEvery = 200, fileBytesMax } = options;
  const generator = new StepGenerator({ seed, clients, operations: kinds, fileBytesMax });
  const comparison = new Comparison(subject, options);
  for (let i = 0; i < operations; i++) {
    await comparison.step(await generator.step(comparison.model));
    if (i % walkEvery !== walkEvery - 1) continue;
    await options.between?.();
    await comparison.walk();
  }
  await comparison.walk();
  return comparison.result;
}

/** Those steps, and a walk at the end. Throws `Mismatch`. */
export async function replaySteps(
  subject: Executor,
  steps: readonly Step[],
  options: Pick<LoadOptions, 'clients' | 'kinds' | 'owner'>,
): Promise<void> {
  const comparison = new Comparison(subject, options);
  for (const step of steps) await comparison.step(step);
  await comparison.walk();
}

/** One seed over a fresh subject; what fails tells how to run it again, and the fewest steps found that show it. */
export async function checkSeed(
  open: () => Promise<Opened>,
  options: LoadOptions & { command: (operations: number) => string },
): Promise<LoadResult> {
  const { seed, command } = options;
  const { subject, between, close } = await open();
  try {
    const result = await runFilesLoad(subject, { ...options, between });
    await close();
    return result;
  } catch (error) {
    if (!(error instanceof Mismatch)) throw new Error(`seed ${seed}\n${command(options.operations)}`, { cause: error });
    const again = async (steps: readonly Step[]) => {
      const fresh = await open();
      try {
        await replaySteps(fresh.subject, steps, options);
      } finally {
        await fresh.close().catch(() => {});
      }
    };
    const { message, steps } = error;
    const few = await shortest(steps, again);
    const lines = few.map((step) => `  ${describeStep(step)}`).join('\n');
    throw new Error(
      `seed ${seed}, step ${steps.length}: ${message}\n${command(steps.length)}\nthe same in short:\n${lines}`,
    );
  }
}

/** Fewer steps that still show a difference, found by leaving out parts; `again` runs some over a fresh subject. */
export async function shortest(
  steps: readonly Step[],
  again: (steps: readonly Step[]) => Promise<void>,
  triesMax = 150,
): Promise<readonly Step[]> {
  let kept = [...steps];
  let tries = 0;
  const differs = async (candidate: readonly Step[]) => {
    tries++;
    try {
      await again(candidate);
      return undefined;
    } catch (error) {
      return error instanceof Mismatch ? [...error.steps] : undefined;
    }
  };
  for (
    let part = Math.ceil(kept.length / 2);
    part >= 1 && tries < triesMax;
    part = part === 1 ? 0 : Math.ceil(part / 2)
  )
    for (let at = Math.max(0, kept.length - part); tries < triesMax; at = Math.max(0, at - part)) {
      const found = await differs([...kept.slice(0, at), ...kept.slice(at + part)]);
      if (found !== undefined && found.length < kept.length) kept = found;
      if (at === 0) break;
    }
  return kept;
}

/** A subject beside the model: step after step, and everything at once. */
export class Comparison {
  readonly model: FilesExecutor;
  readonly result: LoadResult = { operations: 0, done: 0, entries: 0 };
  private readonly subject: Executor;
  private readonly clients: number;
  private readonly extended: boolean;
  private readonly steps: Step[] = [];
  /** By inode of the model: clients whose writes others need not see yet. */
  private readonly dirty = new Map<number, Set<number>>();

  constructor(subject: Executor, options: Pick<LoadOptions, 'clients' | 'kinds' | 'owner'>) {
    const { clients, kinds, owner } = options;
    this.subject = subject;
    this.clients = clients;
    this.extended = kinds === undefined || kinds.includes('listExtended');
    const files = new MemoryFiles(owner);
    this.model = new FilesExecutor(
      Array.from({ length: clients }, () => files),
      owner,
    );
  }

  async step(step: Step): Promise<void> {
    this.steps.push(step);
    this.result.operations++;
    await this.share(step);
    const expected = await outcomeOf(this.model, step);
    const found = await outcomeOf(this.subject, step);
    if (!(await this.agree(step, expected, found)))
      this.differ(`${describeStep(step)}\n  expected ${shown(expected)}\n  found    ${shown(found)}`);
    if ('value' in expected) this.result.done++;
  }

  /** Everything is shared, then every client sees the same. */
  async walk(): Promise<void> {
    for (let client = 0; client < this.clients; client++) await this.subject.flush(client);
    this.dirty.clear();
    const expected = await walk(this.model, 0, this.extended);
    for (let client = 0; client < this.clients; client++) {
      const found = await walk(this.subject, client, this.extended).catch((cause: unknown) =>
        this.differ(`walk of client ${client}: ${String(cause)}`),
      );
      for (const path of new Set([...expected.keys(), ...found.keys()]))
        if (expected.get(path) !== found.get(path))
          this.differ(
            `walk of client ${client}: ${path}\n  expected ${expected.get(path)}\n  found    ${found.get(path)}`,
          );
    }
    this.result.entries = expected.size;
  }

  /** What others wrote to the files of the step is flushed by them before; a writer is remembered. */
  private async share(step: Step): Promise<void> {
    const places: Place[] = [];
    if ('at' in step) places.push(step.at);
    if ('path' in step) places.push(step.path);
    if ('from' in step) places.push(step.from, step.to);
    if ('slot' in step) places.push(step.slot);
    for (const place of places) {
      const inode = await this.model.inodeAt(step.client, place);
      if (inode === undefined) continue;
      const writers = this.dirty.get(inode) ?? new Set();
      // Who takes the last name may forget what he wrote; who has it open elsewhere sees what was flushed before.
      const removes = step.op === 'unlink' || step.op === 'rename';
      const all = removes && this.model.heldBeside(step.client, inode);
      for (const client of all ? writers : [...writers].filter((one) => one !== step.client)) {
        await this.subject.flush(client);
        for (const clients of this.dirty.values()) clients.delete(client);
      }
      if (step.op === 'write') this.dirty.set(inode, writers.add(step.client));
    }
  }

  private async agree(step: Step, expected: Outcome, found: Outcome): Promise<boolean> {
    const known = 'value' in expected || expected.error === 'ENXIO';
    if (step.op === 'seek' && known) return seekAgrees(this.model, step, found);
    if ('error' in expected || 'error' in found)
      return 'error' in expected && 'error' in found && expected.error === found.error;
    return isDeepStrictEqual(comparable(expected.value), comparable(found.value));
  }

  private differ(message: string): never {
    throw new Mismatch(message, [...this.steps]);
  }
}

/** Zeros may be told as data or as a hole; anything else is data. Content of these tests has no zeros. */
async function seekAgrees(model: Executor, step: Step & { op: 'seek' }, found: Outcome): Promise<boolean> {
  const { client, at, offset, what } = step;
  const zeros = async (from: number, length: number) =>
    (await model.perform({ client, op: 'read', at, offset: from, length })) === digest(Buffer.alloc(length));
  const { size } = (await model.perform({ client, op: 'stat', at })) as Stated;
  if ('error' in found) {
    if (found.error !== 'ENXIO') return false;
    return offset >= size || (what === 'data' && (await zeros(offset, size - offset)));
  }
  const place = found.value as number;
  if (offset >= size || place < offset || place > size) return false;
  if (what === 'data') return place < size && (await zeros(offset, place - offset));
  return place === size || zeros(place, 1);
}

/** Everything a client sees, a line each by path; names of one file tell the first of them. */
async function walk(executor: Executor, client: number, extended: boolean): Promise<Map<string, string>> {
  const lines = new Map<string, string>();
  const first = new Map<number, string>();
  const visit = async (path: Path): Promise<void> => {
    const shownPath = `/${path.map((name) => JSON.stringify(name).slice(1, -1)).join('/')}`;
    const { inode, ...stated } = (await executor.perform({ client, op: 'stat', at: path })) as Stated;
    const known = first.get(inode);
    first.set(inode, known ?? shownPath);
    const facts: unknown[] = [stated, known === undefined ? '' : `is ${known}`];
    if (stated.type === 'file')
      facts.push(await executor.perform({ client, op: 'read', at: path, offset: 0, length: stated.size }));
    if (stated.type === 'symlink') facts.push(await executor.perform({ client, op: 'readlink', path }));
    if (extended)
      for (const name of (await executor.perform({ client, op: 'listExtended', path })) as string[])
        facts.push(name, await executor.perform({ client, op: 'getExtended', path, name }));
    lines.set(shownPath, JSON.stringify(facts));
    if (stated.type !== 'directory') return;
    const children = (await executor.perform({ client, op: 'list', path })) as [string, string][];
    for (const [name] of children) await visit([...path, name]);
  };
  await visit([]);
  return lines;
}

function comparable(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('inode' in value)) return value;
  return { ...value, inode: undefined };
}

function shown(outcome: Outcome): string {
  return 'error' in outcome ? `${outcome.error} (${outcome.message})` : JSON.stringify(comparable(outcome.value));
}
