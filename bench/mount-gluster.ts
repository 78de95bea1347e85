// GlusterFS as a peer for measurements of mounts: a volume with three copies in three bricks, and its FUSE client. GlusterFS refuses
// loopback addresses, so its processes have a network of their own that holds nothing but loopback, with another address on it; a
// process space of their own, which ends with this program however it ends; and folders of the system of their own.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { family, isMounted, run, type Scene, unmount, until } from './mount-scene.ts';
import type { Target } from './mount-targets.ts';

/** A volume of three bricks, and what acts on it: `start force`, `heal full`. Bricks are folders of this machine. */
export interface Gluster extends Target {
  bricks: readonly string[];
  volume(command: string, ...words: string[]): Promise<string>;
  nameOf(brick: string): string;
}

const address = '10.99.0.1';
const volume = 'bench';
const startTimeoutMs = 30_000;
const needed = ['glusterd', 'gluster', 'glusterfs', 'unshare', 'nsenter', 'ip'];

/**
 * Runs as the first process of the space: all of them end when it does, which is when its input ends. It stays a shell, which takes
 * leave of those that ended: a brick that was killed is known to be dead then.
 */
const script = `
  set -e
  ip link set lo up
  ip addr add ${address}/32 dev lo
  mount -t tmpfs none /run
  mkdir -p /run/gluster /var/log/glusterfs
  mount -t tmpfs none /var/log/glusterfs
  glusterd -N -f "$0/glusterd.vol" -l "$0/glusterd.log" -p "$0/glusterd.pid" &
  cat > /dev/null
  :`;

/** Why it cannot run here, if it cannot. */
export function glusterMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'GlusterFS is skipped: it needs root.';
  const missing = needed.filter((program) => !isInstalled(program));
  return missing.length > 0 ? `GlusterFS is skipped: ${missing.join(', ')} not installed.` : undefined;
}

function isInstalled(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export async function startGluster(scene: Scene): Promise<Gluster> {
  const folder = join(scene.folder, 'gluster');
  const mountpoint = join(folder, 'mountpoint');
  const bricks = ['one', 'two', 'three'].map((name) => join(folder, name));
  for (const path of [join(folder, 'state'), mountpoint, ...bricks]) mkdirSync(path, { recursive: true });
  writeFileSync(join(folder, 'glusterd.vol'), configuration(join(folder, 'state')));
  const { space, first } = await startSpace(scene, folder);
  const inside = (words: readonly string[]) =>
    run('nsenter', ['--target', String(first), '--net', '--mount', '--pid', ...words], { signal: scene.signal });
  const gluster = (...words: string[]) => inside(['gluster', '--mode=script', 'volume', ...words]);
  const nameOf = (brick: string) => `${address}:${brick}`;
  await until('glusterd answers', startTimeoutMs, () => succeeds(gluster('list')), scene.signal);
  await gluster('create', volume, 'replica', '3', ...bricks.map(nameOf), 'force');
  await gluster('start', volume);

  let client: ChildProcess | undefined;
  const stop = async () => {
    await unmount(mountpoint);
    if (client !== undefined) await ended(client);
  };
  const start = async () => {
    client = startClient(folder, mountpoint, first);
    const died = () => client?.exitCode !== null;
    await until('GlusterFS is mounted', startTimeoutMs, () => died() || isMounted(mountpoint), scene.signal);
    if (died())
      throw new Error(`GlusterFS's client ended:\n${readFileSync(join(folder, 'client.log'), 'utf8').slice(-2000)}`);
    // The client comes up before its bricks answer.
    await until('GlusterFS answers', startTimeoutMs, () => succeeds(run('df', [mountpoint])), scene.signal);
  };
  scene.atEnd('stopping the client of GlusterFS', stop);
  await start();
  return {
    name: 'gluster',
    what: `GlusterFS ${version()}, replica 3, its FUSE client, as shipped`,
    folder: mountpoint,
    isServed: () => isMounted(mountpoint),
    pids: () => [...family(space.pid as number), ...family(client?.pid as number)],
    remount: async () => {
      await stop();
      await start();
    },
    output: () => readFileSync(join(folder, 'client.log'), 'utf8').slice(-4000),
    bricks,
    volume: (command, ...words) => gluster(command, volume, ...words),
    nameOf,
  };
}

function configuration(state: string): string {
  return `volume management
    type mgmt/glusterd
    option working-directory ${state}
    option transport-type socket
    option transport.socket.bind-address ${address}
    option transport.socket.listen-port 24007
    option ping-timeout 0
    option event-threads 1
end-volume
`;
}

/** The process that holds the space, and the first one inside. */
async function startSpace(scene: Scene, folder: string): Promise<{ space: ChildProcess; first: number }> {
  const log = openSync(join(folder, 'space.log'), 'w');
  const words = ['--net', '--pid', '--fork', '--mount', '--mount-proc', '--kill-child', 'sh', '-c', script, folder];
  const space = spawn('unshare', words, { detached: true, stdio: ['pipe', log, log] });
  closeSync(log);
  space.stdin?.on('error', () => {});
  scene.atEnd('stopping GlusterFS', async () => {
    space.stdin?.end();
    await ended(space);
  });
  await until('GlusterFS starts', startTimeoutMs, () => family(space.pid as number).length > 1, scene.signal);
  return { space, first: family(space.pid as number)[1] as number };
}

/** It stays in this view of the file system, so that work outside finds the mount. */
function startClient(folder: string, mountpoint: string, first: number): ChildProcess {
  const words = ['-N', '--process-name', 'fuse', '--volfile-server', address, '--volfile-id', volume];
  const places = ['-l', join(folder, 'client.log'), '-p', join(folder, 'client.pid'), mountpoint];
  const inside = [`--net=/proc/${first}/ns/net`, 'glusterfs', ...words, ...places];
  return spawn('nsenter', inside, { detached: true, stdio: 'ignore' });
}

async function succeeds(task: Promise<unknown>): Promise<boolean> {
  return task.then(
    () => true,
    () => false,
  );
}

/** Waits for the end of a process that was asked to end, and kills it when it does not. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await once(child, 'exit');
  clearTimeout(timer);
}

function version(): string {
  return /glusterfs (\S+)/.exec(execFileSync('glusterfs', ['--version'], { encoding: 'utf8' }))?.[1] ?? '';
}
