// A hub as a process of its own, for tests with devices: started again on the same database and port after a kill.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Device, Lab, Place, Running } from './device.ts';

export class Hub {
  readonly device: Device;
  private readonly options: readonly string[];
  private process: Running | undefined;
  private port = 0;

  constructor(lab: Lab, name = 'hub', options: readonly string[] = [], place?: Place) {
    this.device = lab.device(name, 'hub', place);
    this.options = options;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Devices that are to use it. */
  get environment(): Record<string, string> {
    return { INFINIT_BEYOND: this.url };
  }

  /** What its process has said. */
  get output(): string {
    return this.process?.output ?? '';
  }

  async start(...more: readonly string[]): Promise<void> {
    const file = join(this.device.runtime, 'port');
    rmSync(file, { force: true });
    const words = ['hub', 'run', '--port', String(this.port), '--port-file', file, ...this.options, ...more];
    this.process = await this.device.start(words, /^Running hub/m);
    if (existsSync(file)) this.port = Number(readFileSync(file, 'utf8'));
  }

  async kill(): Promise<void> {
    await this.process?.kill();
  }

  async stop(): Promise<number | null | undefined> {
    return this.process?.stop();
  }
}
