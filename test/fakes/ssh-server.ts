// The system's sshd on loopback, with keys of its own and a configuration for ssh that leads there; in a temporary folder.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Where sshd is; undefined: not installed. */
export function sshdPath(): string | undefined {
  return [...(process.env.PATH ?? '').split(':'), '/usr/sbin'].map((folder) => join(folder, 'sshd')).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export class SshServer {
  readonly folder: string;
  readonly port: number;
  private child: ChildProcess | undefined;

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.port = port;
  }

  /** Name of the host in the configuration. */
  readonly host = 'trial';

  static async start(): Promise<SshServer> {
    const server = new SshServer(await mkdtemp(join(tmpdir(), 'infinit-ssh-')), await freePort());
    await server.prepare();
    await server.run();
    return server;
  }

  get config(): string {
    return join(this.folder, 'config');
  }

  /** Where silos may be. */
  get files(): string {
    return join(this.folder, 'files');
  }

  private async prepare(): Promise<void> {
    const path = (name: string) => join(this.folder, name);
    for (const key of ['host', 'user', 'stranger'])
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path(key)]);
    execFileSync('cp', [path('user.pub'), path('authorized')]);
    mkdirSync(this.files);
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
    const lines = [
      `Port ${this.port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${path('host')}`,
      `AuthorizedKeysFile ${path('authorized')}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin yes',
      'Subsystem sftp internal-sftp',
    ];
    await writeFile(path('sshd_config'), `${lines.join('\n')}\n`);
    await this.configure('user');
  }

  /** Which key ssh shows. */
  async configure(key: 'user' | 'stranger'): Promise<void> {
    const hostKey = execFileSync('cut', ['-d', ' ', '-f', '1,2', join(this.folder, 'host.pub')], { encoding: 'utf8' });
    await writeFile(join(this.folder, 'known'), `[127.0.0.1]:${this.port} ${hostKey}`);
    const lines = [
      `Host ${this.host}`,
      '  HostName 127.0.0.1',
      `  Port ${this.port}`,
      `  IdentityFile ${join(this.folder, key)}`,
      '  IdentitiesOnly yes',
      '  IdentityAgent none',
      `  UserKnownHostsFile ${join(this.folder, 'known')}`,
    ];
    await writeFile(this.config, `${lines.join('\n')}\n`);
  }

  async run(): Promise<void> {
    this.child = spawn(sshdPath() ?? 'sshd', ['-D', '-f', join(this.folder, 'sshd_config')], { stdio: 'ignore' });
    for (let attempt = 0; !(await answers(this.port)); attempt++) {
      if (attempt > 200 || this.child.exitCode !== null)
        throw new Error(`sshd does not start (${this.child.exitCode})`);
      await sleep(50);
    }
  }

  /** With the connections it serves. */
  async stop(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child?.pid === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const served = spawnSync('ps', ['-o', 'pid=', '--ppid', String(child.pid)], { encoding: 'utf8' }).stdout.split(
      '\n',
    );
    child.kill('SIGTERM');
    for (const pid of served.map(Number).filter((each) => each > 0)) process.kill(pid, 'SIGTERM');
    await ended;
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
