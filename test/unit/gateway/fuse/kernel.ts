// The kernel's side of a session, for tests without one: requests as bytes, answers taken apart.

import { deferred } from '../../../../src/core/base/lifecycle.ts';
import type { Metrics } from '../../../../src/core/base/metrics.ts';
import { Serving } from '../../../../src/core/gateway/fuse/serving.ts';
import { Session } from '../../../../src/core/gateway/fuse/session.ts';
import type { Transport } from '../../../../src/core/gateway/fuse/transport.ts';
import { opcodes, putU64, readU64 } from '../../../../src/core/gateway/fuse/wire.ts';
import type { Cancel, Clock, Log, LogLevel } from '../../../../src/core/runtime/runtime.ts';
import type { Files } from '../../../../src/core/volume/files/files.ts';

const frameBytes = 1024 * 1024 + 4096;

export interface Answer {
  /** Positive. */
  error: number;
  body: Buffer;
}

/** A clock that goes on when told. */
export class ManualClock implements Clock {
  private timeMs = 1000;
  private readonly timers = new Map<() => void, number>();

  now = () => this.timeMs;
  monotonic = () => this.timeMs;
  after(timeMs: number, task: () => void): Cancel {
    const run = () => task();
    this.timers.set(run, this.timeMs + timeMs);
    return () => this.timers.delete(run);
  }
  sleep(timeMs: number): Promise<void> {
    return new Promise((resolve) => this.after(timeMs, resolve));
  }
  async pass(timeMs: number): Promise<void> {
    this.timeMs += timeMs;
    for (const [run, at] of [...this.timers]) {
      if (at > this.timeMs) continue;
      this.timers.delete(run);
      run();
    }
    await settled();
  }
}

/** The device as the session sees it. All requests arrive in the same memory, as they do from the real one. */
class FakeTransport implements Transport {
  readonly name = 'fake';
  readonly answers: Buffer[] = [];
  readonly notified: { message: Buffer; done: (code?: string) => void }[] = [];
  paused = false;
  private memory = Buffer.allocUnsafeSlow(frameBytes);
  private receive: (frame: Buffer) => boolean = () => false;
  private ended: (error?: Error) => void = () => {};

  start(receive: (frame: Buffer) => boolean, ended: (error?: Error) => void): void {
    this.receive = receive;
    this.ended = ended;
  }
  reply(parts: readonly Uint8Array[]): void {
    this.answers.push(Buffer.concat(parts));
  }
  notify(message: Buffer): Promise<string | undefined> {
    return new Promise((resolve) => this.notified.push({ message, done: resolve }));
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  async close(): Promise<void> {
    this.ended();
  }
  arrive(frame: Buffer): void {
    const bytes = frame.copy(this.memory);
    const isKept = this.receive(this.memory.subarray(0, bytes));
    if (isKept) this.memory = Buffer.allocUnsafeSlow(frameBytes);
    else this.memory.fill(0xee);
  }
}

export interface KernelOptions {
  readOnly?: boolean;
  mapOthers?: boolean;
  ownUid?: number;
  timeoutMs?: number;
  metrics?: Metrics;
  /** Without the first exchange. */
  isSilent?: boolean;
}

export class FakeKernel {
  readonly clock = new ManualClock();
  readonly transport = new FakeTransport();
  readonly lines: { level: LogLevel; message: string }[] = [];
  readonly serving: Serving;
  readonly session: Session;
  private unique = 2;

  constructor(files: Files, options: KernelOptions = {}) {
    const { readOnly = false, mapOthers = false, ownUid = 1000, timeoutMs, metrics, isSilent = false } = options;
    const log: Log = { write: (level, _, message) => this.lines.push({ level, message }) };
    this.serving = new Serving({ files, clock: this.clock, log, readOnly, mapOthers, ownUid, metrics });
    this.session = new Session(this.serving, this.transport, timeoutMs);
    this.session.start().catch(() => {});
    if (!isSilent) this.send('INIT', 0, initBody());
    this.transport.answers.length = 0;
  }

  /** The number of the request, which its answer carries. */
  send(opcode: keyof typeof opcodes | number, inode: number, body: Buffer = Buffer.alloc(0), uid = 0): number {
    const unique = (this.unique += 2);
    this.transport.arrive(frame(typeof opcode === 'number' ? opcode : opcodes[opcode], unique, inode, body, uid));
    return unique;
  }

  /** All answers to a request so far. */
  answersTo(unique: number): Answer[] {
    return this.transport.answers
      .filter((answer) => readU64(answer, 8) === unique)
      .map((answer) => ({ error: Math.abs(answer.readInt32LE(4)), body: answer.subarray(16) }));
  }

  /** Sends, and waits for what can be answered without the outside. */
  async ask(opcode: keyof typeof opcodes | number, inode: number, body?: Buffer, uid?: number): Promise<Answer> {
    const unique = this.send(opcode, inode, body, uid);
    await settled();
    const [answer, second] = this.answersTo(unique);
    if (answer === undefined || second !== undefined) throw new Error(`${second ? 'two answers' : 'no answer'}`);
    return answer;
  }
}

export function frame(opcode: number, unique: number, inode: number, body: Buffer, uid = 0): Buffer {
  const bytes = Buffer.alloc(40 + body.length);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(opcode, 4);
  putU64(bytes, 8, unique);
  putU64(bytes, 16, inode);
  bytes.writeUInt32LE(uid, 24);
  bytes.writeUInt32LE(uid, 28);
  body.copy(bytes, 40);
  return bytes;
}

export function initBody(major = 7, minor = 45): Buffer {
  return words(major, minor, 131_072, 0x73ff_fffb, 0x5fd, ...Array<number>(11).fill(0));
}

/** 32-bit words. */
export function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, index * 4);
  return bytes;
}

/** 64-bit words. */
export function longs(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [index, value] of values.entries()) putU64(bytes, index * 8, value);
  return bytes;
}

export function named(head: Buffer, ...names: string[]): Buffer {
  return Buffer.concat([head, ...names.map((name) => Buffer.from(`${name}\0`, 'latin1'))]);
}

/** When all that waits for nothing outside has run. */
export async function settled(): Promise<void> {
  const done = deferred();
  setImmediate(() => done.resolve());
  await done.promise;
}
