// A kernel as far as waits go: it holds the lock of a directory while one of its programs changes names there, and takes that
// lock to forget a name when it is told to.

import { type Deferred, KeyedMutex } from '../../../../src/core/base/lifecycle.ts';
import { Notifier } from '../../../../src/core/gateway/fuse/notify.ts';
import { Serving } from '../../../../src/core/gateway/fuse/serving.ts';
import { Session } from '../../../../src/core/gateway/fuse/session.ts';
import type { Transport } from '../../../../src/core/gateway/fuse/transport.ts';
import { notifyCodes, opcodes, readU64 } from '../../../../src/core/gateway/fuse/wire.ts';
import type { Files } from '../../../../src/core/volume/files/files.ts';
import type { Process } from '../../../fakes/world.ts';
import { frame, initBody, longs, named, words } from './kernel.ts';

export class LockingKernel implements Transport {
  readonly name = 'locking';
  readonly serving: Serving;
  /** Told, and not done yet. */
  telling = 0;
  /** Nothing it is told comes to an end while this stands. */
  stuck: Deferred<void> | undefined;
  private readonly locks = new KeyedMutex();
  private readonly answers = new Map<number, (answer: Buffer) => void>();
  private receive: (request: Buffer) => boolean = () => false;
  private unique = 2;

  constructor(files: Files, { runtime }: Process) {
    const { clock, log } = runtime;
    this.serving = new Serving({ files, clock, log, readOnly: false, mapOthers: false, ownUid: 0 });
    new Notifier(this.serving, this).start();
    new Session(this.serving, this).start().catch(() => {});
    this.receive(frame(opcodes.INIT, 0, 0, initBody()));
  }

  start(receive: (request: Buffer) => boolean): void {
    this.receive = receive;
  }
  reply(parts: readonly Uint8Array[]): void {
    const answer = Buffer.concat(parts);
    this.answers.get(readU64(answer, 8))?.(answer);
  }
  async notify(message: Buffer): Promise<string | undefined> {
    this.telling++;
    const parent = readU64(message, 16);
    if (message.readInt32LE(4) === notifyCodes.INVAL_ENTRY)
      await this.locks.run(`${parent}`, () => this.stuck?.promise);
    else await this.stuck?.promise;
    this.telling--;
    return undefined;
  }
  pause(): void {}
  resume(): void {}
  async close(): Promise<void> {}

  /** Resolves when nobody has the lock of the directory. */
  whenFree(directory: number): Promise<void> {
    return this.locks.run(`${directory}`, () => {});
  }

  async lookup(directory: number, name: string): Promise<number> {
    const { error, body } = await this.ask('LOOKUP', directory, named(Buffer.alloc(0), name));
    return error === 0 ? readU64(body, 0) : 0;
  }
  makeDirectory(directory: number, name: string) {
    return this.changing([directory], 'MKDIR', directory, named(words(0o755, 0), name));
  }
  removeDirectory(directory: number, name: string) {
    return this.changing([directory], 'RMDIR', directory, named(Buffer.alloc(0), name));
  }
  rename(from: number, name: string, to: number, toName: string) {
    return this.changing([from, to], 'RENAME', from, named(longs(to), name, toName));
  }

  private changing(directories: number[], opcode: keyof typeof opcodes, inode: number, body: Buffer) {
    const [first, second] = [...new Set(directories)].sort((a, b) => a - b);
    const ask = () => this.ask(opcode, inode, body);
    return this.locks.run(`${first}`, () => (second === undefined ? ask() : this.locks.run(`${second}`, ask)));
  }

  private async ask(
    opcode: keyof typeof opcodes,
    inode: number,
    body: Buffer,
  ): Promise<{ error: number; body: Buffer }> {
    const unique = (this.unique += 2);
    const answered = new Promise<Buffer>((resolve) => this.answers.set(unique, resolve));
    this.receive(frame(opcodes[opcode], unique, inode, body));
    const answer = await answered;
    this.answers.delete(unique);
    return { error: -answer.readInt32LE(4), body: answer.subarray(16) };
  }
}
