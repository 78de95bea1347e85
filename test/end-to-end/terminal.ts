// A shell that goes on: what it opens stays open between what it is told to do. Its end closes all of it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

const answerTimeoutMs = 60_000;

export class Terminal {
  private readonly child: ChildProcess;
  private output = '';
  private errors = '';
  private asked = 0;
  private hear: () => void = () => {};

  constructor(folder: string) {
    this.child = spawn('bash', ['-u'], { cwd: folder, stdio: 'pipe' });
    this.child.stdout?.on('data', (part: Buffer) => {
      this.output += part.toString('latin1');
      this.hear();
    });
    this.child.stderr?.on('data', (part: Buffer) => (this.errors += part.toString()));
    this.child.stdin?.on('error', () => {});
    this.child.once('exit', () => this.hear());
  }

  /** What the command printed. Throws when it fails. */
  async does(command: string): Promise<string> {
    const mark = `<answered ${++this.asked}>`;
    this.output = '';
    this.errors = '';
    this.child.stdin?.write(`${command}\necho "${mark} $?"\n`);
    const deadline = Date.now() + answerTimeoutMs;
    for (;;) {
      const end = this.output.indexOf(mark);
      const code = /^ (\d+)\n/.exec(this.output.slice(end + mark.length))?.[1];
      if (end >= 0 && code === '0') return this.output.slice(0, end);
      if (end >= 0 && code !== undefined) throw new Error(`${command}: exit ${code}\n${this.errors}`);
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`the shell ended: ${this.errors}`);
      if (Date.now() > deadline) throw new Error(`${command}: no answer within ${answerTimeoutMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.hear = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.stdin?.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 5000);
    await exited;
    clearTimeout(timer);
  }
}
