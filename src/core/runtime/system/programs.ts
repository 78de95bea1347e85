// Programs of the system as child processes, spoken to over their standard streams. Node's module is loaded when one is started.

import type { ChildProcess } from 'node:child_process';
import type { Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Program, ProgramEnd, Programs } from '../runtime.ts';

const messageCharsMax = 4000;

export const systemPrograms: Programs = {
  async start(name, words) {
    const { spawn } = await import('node:child_process');
    const child = spawn(name, [...words], { stdio: ['pipe', 'pipe', 'pipe'] });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause: NodeJS.ErrnoException) =>
        reject(new InfinitError('unavailable', `${name} cannot be started: ${cause.code ?? cause.message}`, { cause })),
      );
    });
    return new ChildProgram(child);
  },
};

class ChildProgram implements Program {
  private readonly child: ChildProcess;
  private message = '';
  private ended: ProgramEnd | undefined;
  private tell: ((end: ProgramEnd) => void) | undefined;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stderr?.setEncoding('utf8');
    child.stderr?.on('data', (text: string) => {
      this.message = (this.message + text).slice(-messageCharsMax);
    });
    // What is written after its end goes nowhere; the end is told below.
    child.stdin?.on('error', () => {});
    child.on('error', () => {});
    child.on('close', (code) => {
      this.ended = { code: code ?? undefined, message: this.message.trim() };
      this.tell?.(this.ended);
    });
  }

  write(parts: readonly Bytes[]): void {
    for (const part of parts) this.child.stdin?.write(part);
  }

  onData(receive: (bytes: Buffer) => void): void {
    this.child.stdout?.on('data', receive);
  }

  onEnd(ended: (end: ProgramEnd) => void): void {
    this.tell = ended;
    if (this.ended !== undefined) ended(this.ended);
  }

  stop(): void {
    this.child.stdin?.end();
    this.child.kill('SIGTERM');
  }
}
