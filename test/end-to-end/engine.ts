// A Docker engine of its own, started and stopped by a test: no service of the machine is touched.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, run, shell } from './device.ts';

const startMs = 60_000;
const image = 'small:1';

export class Engine {
  private readonly child: ChildProcess;
  private readonly socket: string;

  private constructor(child: ChildProcess, socket: string) {
    this.child = child;
    this.socket = socket;
  }

  /** With one image of a shell and its tools. No networks: containers are cut off. */
  static async start(folder: string): Promise<Engine> {
    const home = join(folder, 'engine');
    mkdirSync(home, { recursive: true });
    const socket = `unix://${home}/docker.sock`;
    const log = openSync(join(home, 'log'), 'w');
    const words = [
      ['--data-root', join(home, 'data')],
      ['--exec-root', join(home, 'exec')],
      ['--pidfile', join(home, 'pid')],
      ['-H', socket],
      ['--iptables=false', '--ip6tables=false', '--bridge=none'],
    ].flat();
    const engine = new Engine(spawn('dockerd', words, { stdio: ['ignore', log, log] }), socket);
    try {
      await eventually('the engine answers', startMs, () => engine.docker(['info']));
      await shell(`
        mkdir -p ${home}/root/bin ${home}/root/tmp
        cp "$(command -v busybox)" ${home}/root/bin/busybox
        for tool in sh cat echo ls sync mkdir rm id sleep touch; do ln -s busybox ${home}/root/bin/$tool; done
        tar -C ${home}/root -cf ${home}/root.tar .`);
      await engine.docker(['import', `${home}/root.tar`, image]);
      return engine;
    } catch (error) {
      await engine.stop();
      throw error;
    }
  }

  /** Runs a line of shell in a new container; its output. */
  run(options: readonly string[], line: string): Promise<string> {
    return this.docker(['run', '--rm', '--network', 'none', ...options, image, 'sh', '-c', line]);
  }

  async docker(words: readonly string[]): Promise<string> {
    return (await run('docker', ['-H', this.socket, ...words])).toString();
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await ended;
  }
}
