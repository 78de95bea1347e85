// A PostgreSQL server of a test's own, on loopback, in a temporary folder; as the system's user for it where the test is root, whom the
// server refuses.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chownSync, constants, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const startTimeoutMs = 60_000;

/** Where Debian puts the server's programs; undefined when they are not installed. */
function programs(): string | undefined {
  const root = '/usr/lib/postgresql';
  const versions = (() => {
    try {
      return readdirSync(root).sort((a, b) => Number(b) - Number(a));
    } catch {
      return [];
    }
  })();
  return versions
    .map((version) => join(root, version, 'bin'))
    .find((folder) => {
      try {
        accessSync(join(folder, 'initdb'), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Why there is no server; false when there can be one. Throws where nothing may be missing. */
export function noPostgres(): string | false {
  if (programs() !== undefined) return false;
  if (process.env.TESTS_NOTHING_MISSING) throw new Error('missing: postgresql');
  return 'PostgreSQL is not installed';
}

export class PostgresServer {
  private readonly folder: string;
  private readonly child: ReturnType<typeof spawn>;
  readonly port: number;

  private constructor(folder: string, child: ReturnType<typeof spawn>, port: number) {
    this.folder = folder;
    this.child = child;
    this.port = port;
  }

  static async start(): Promise<PostgresServer> {
    const bin = programs() ?? '';
    const folder = mkdtempSync(join(tmpdir(), 'infinit-postgres-'));
    const owner = ownerIds();
    if (owner) chownSync(folder, owner.uid, owner.gid);
    const data = join(folder, 'data');
    const how = { stdio: 'ignore', cwd: folder, ...owner } as const;
    execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'hub', '--auth', 'trust', '--no-locale', '-E', 'UTF8'], how);
    const port = await freePort();
    const settings = ['listen_addresses=127.0.0.1', `port=${port}`, `unix_socket_directories=${folder}`];
    const words = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
    const server = new PostgresServer(folder, spawn(join(bin, 'postgres'), words, how), port);
    const deadline = Date.now() + startTimeoutMs;
    for (;;) {
      try {
        execFileSync(join(bin, 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(port)]);
        return server;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  /** Address of a new, empty database. */
  create(name: string): string {
    const words = ['-h', '127.0.0.1', '-p', String(this.port), '-U', 'hub', name];
    execFileSync(join(programs() ?? '', 'createdb'), words);
    return `postgres://hub@127.0.0.1:${this.port}/${name}`;
  }

  /** SIGQUIT is the server's own way to end at once, as in a crash. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGQUIT');
      await once(this.child, 'exit');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function ownerIds(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres']).toString());
  return { uid: id('-u'), gid: id('-g') };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
