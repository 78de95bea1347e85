// Volumes as the command line runs them: node and mount in one process, and what other commands ask of that process.

import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fromBase64, toBase64, utf8 } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Acting, Running, RunOptions, RunVolumeOptions, VolumeStatus } from '../cli/running.ts';
import type { MountOptionsJson, VolumeDescriptor } from '../descriptor/descriptor.ts';
import { keyToJson, sameKey } from '../descriptor/keys.ts';
import { getLink } from '../descriptor/links.ts';
import { getUser, userKeyPair } from '../descriptor/users.ts';
import { getVolume, listVolumes } from '../descriptor/volumes.ts';
import type { Mounted } from '../gateway/fuse/fuse.ts';
import { mountFiles } from '../gateway/fuse/mount.ts';
import { mountType, parseMountTable } from '../gateway/fuse/mount-table.ts';
import { inBackground, reporting } from './background.ts';
import { collectQueries } from './collecting.ts';
import { hasJournal, journalFolder } from './late/journal-folder.ts';
import { lateNotices } from './late/late-domain.ts';
import { LettingGo } from './letting-go.ts';
import type { LinkedNode } from './link.ts';
import { metered, watchTree } from './metrics.ts';
import { askMonitor, type Queries } from './monitor.ts';
import { registerService } from './services.ts';
import { cacheBytesOf, joinNetwork, listenEndpoint, serveUntilStopped, stopped } from './serving.ts';
import { People } from './sharing/people.ts';
import { toldWhenSlow } from './slow.ts';
import { monitorSocket } from './sockets.ts';
import { VolumePaths } from './volume-paths.ts';
import { serveVolumeScript } from './volume-script.ts';
import { effectiveOptions, type OpenVolume, openVolume } from './volumes.ts';

/** The reply to a stop is on its way before the process ends. */
const farewellMs = 100;
const stopTimeoutMs = 10 * 60_000;
const endTimeoutMs = 60_000;
const endPollMs = 100;

export const runVolume: Running['runVolume'] = async (options: RunVolumeOptions) => {
  const { context, as } = options;
  const volume = await getVolume(context, as, options.name);
  const user = userKeyPair(await getUser(context, as));
  const isOwn = sameKey(keyToJson(user.publicKey), volume.owner);
  const { options: mount, refused } = effectiveOptions(volume, options.mount, isOwn);
  if (options.mustMount && mount.mountpoint === undefined) throw noMountpoint(volume.name);
  const run = runOptionsOf(options, volume, mount);
  if (isLate(mount)) for (const line of lateNotices) options.warn(line);
  if (await inBackground(run, 'volume', volume.name)) return;
  if (refused.length > 0)
    options.warn(`options of the volume's owner that are not taken unless given here: ${refused.join(', ')}`);
  await reporting(async () => {
    const whole = { ...run, ...(await hubOf(options, mount)) };
    await serve(options, metered(whole, { network: volume.network }), volume, mount);
  });
};

function noMountpoint(name: string): InfinitError {
  return new InfinitError('usage', 'missing option: --mountpoint', {
    hint: `once for all: infinit volume update ${name} --mountpoint DIRECTORY`,
  });
}

/** The same as other long-running commands have, from the options of the mount. */
function runOptionsOf(options: RunVolumeOptions, volume: VolumeDescriptor, mount: MountOptionsJson): RunOptions {
  const {
    force: _,
    mount: __,
    mustMount: ___,
    script: ____,
    openHub: _____,
    registerService: ______,
    ...rest
  } = options;
  const { ready, ...common } = rest;
  const { peers, port, listen_address, advertise_hosts, no_local_endpoints, no_public_endpoints } = mount;
  const { port_mapping, mdns } = mount;
  return {
    ...common,
    name: volume.name,
    monitoring: mount.enable_monitoring ?? true,
    ...(peers && { peers }),
    ...(port !== undefined && { port }),
    ...(listen_address !== undefined && { listen: listen_address }),
    ...(advertise_hosts && { advertiseHosts: advertise_hosts }),
    ...(no_local_endpoints && { noLocalEndpoints: true }),
    ...(no_public_endpoints && { noPublicEndpoints: true }),
    ...(port_mapping && { portMapping: true }),
    ...(mdns && { mdns }),
    ...(mount.cache !== undefined && { cache: mount.cache }),
    ...(mount.cache_ram_size !== undefined && { ramBytes: mount.cache_ram_size }),
    ready: (facts) => ready({ name: volume.name, mountpoint: mount.mountpoint ?? null, ...facts }),
  };
}

/** What the mount has to do with the hub; says so when it should have, and none is named. */
async function hubOf(
  { openHub, warn }: RunVolumeOptions,
  { publish = false, push = publish, fetch = publish, poll_beyond: intervalMs = limits.hubPeriodMs }: MountOptionsJson,
): Promise<Pick<RunOptions, 'hub'>> {
  if (!push && !fetch) return {};
  if (openHub !== undefined) return { hub: { client: await openHub(), push, fetch, intervalMs } };
  warn('no hub is named (INFINIT_BEYOND): the volume is opened without');
  return {};
}

async function serve(
  options: RunVolumeOptions,
  run: RunOptions,
  volume: VolumeDescriptor,
  mount: MountOptionsJson,
): Promise<void> {
  const { script, warn } = options;
  const late = lateOf(options, volume, mount);
  const isBegun = late !== undefined && (await hasJournal(options.context.runtime, late.folder));
  const linked = await joined(run, volume, isBegun ? limits.asyncPatienceMs : undefined);
  const closers: (() => Promise<void>)[] = [() => linked.close()];
  const { clock } = linked.node.runtime;
  try {
    const readOnly = mount.readonly ?? false;
    const people = new People(run.context);
    const opening = { door: true, cacheBytesMax: cacheBytesOf(run), readOnly, people, late, signal: run.signal };
    const opened = await openVolume(linked, volume, opening);
    closers.push(() => toldWhenSlow(clock, opened.close(), () => warn(stillSending(volume.name, process.pid, opened))));
    const { metrics } = linked.node.runtime;
    if (metrics !== undefined) watchTree(metrics, volume.name, opened.tree, () => opened.files.dirtyBytes());
    if (options.registerService)
      await registerService(linked, { kind: 'volume', descriptor: volume }, { signal: run.signal });
    const mounted = await mountedAt(linked, opened, volume, mount);
    const lettingGo = new LettingGo({ clock, mounted, name: volume.name, warn });
    closers.push(() => lettingGo.now());
    lettingGo.when(run.signal, options.force);
    const queries = queriesOf(volume, opened, mounted, async () => {
      await lettingGo.orRefuse();
      clock.after(farewellMs, () => lettingGo.done());
    });
    // A node that has left the network goes on for whoever has files open.
    const left = () => {
      lettingGo.when(AbortSignal.abort(), options.force);
      return stopped(lettingGo.signal);
    };
    const service = { queries, left };
    const serving = serveUntilStopped({ ...run, signal: lettingGo.signal }, 'volume', volume.name, linked, service);
    if (script === undefined) return await serving;
    const ids = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const requests = serveVolumeScript({ files: opened.files, ...ids, blockBytes: volume.block_size }, script);
    await Promise.race([serving, requests]).finally(() => lettingGo.done());
    await serving;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function joined(run: RunOptions, volume: VolumeDescriptor, patienceMs?: number): Promise<LinkedNode> {
  const { name } = await getLink(run.context, run.as, volume.network);
  return joinNetwork(run, name, listenEndpoint(run, undefined), patienceMs);
}

/** One for reading has nothing to send. */
function isLate({ async: late = false, readonly = false }: MountOptionsJson): boolean {
  return late && !readonly;
}

/** Where the journal of a mount with `--async` is. */
function lateOf({ context, as, warn }: RunVolumeOptions, volume: VolumeDescriptor, mount: MountOptionsJson) {
  if (!isLate(mount)) return undefined;
  return { folder: journalFolder(context.home, as, volume), warn };
}

async function mountedAt(
  { node }: LinkedNode,
  { files, readOnly }: OpenVolume,
  volume: VolumeDescriptor,
  mount: MountOptionsJson,
): Promise<Mounted | undefined> {
  if (mount.mountpoint === undefined) return undefined;
  return mountFiles({
    runtime: node.runtime,
    files,
    mountpoint: mount.mountpoint,
    name: mount.mount_name ?? volume.name,
    readOnly,
    fuseOptions: mount.fuse_options ?? [],
    mapOtherPermissions: mount.map_other_permissions ?? false,
  });
}

/** What the control socket answers besides the questions about the node. */
function queriesOf(
  volume: VolumeDescriptor,
  { tree, files, readOnly, waiting }: OpenVolume,
  mounted: Mounted | undefined,
  stop: () => Promise<void>,
): Queries {
  const paths = new VolumePaths(files);
  const text = (request: Readonly<Record<string, unknown>>, field: string): string => {
    const value = request[field];
    if (typeof value !== 'string') throw new InfinitError('usage', `${field}: expected a text`);
    return value;
  };
  return {
    tree: () => tree.status(),
    ...collectQueries(volume.name, tree),
    volume: (): VolumeStatus => {
      const { role, epoch } = tree.status();
      return {
        name: volume.name,
        status: 'running',
        mountpoint: mounted?.mountpoint ?? null,
        role,
        epoch,
        dirty_bytes: files.dirtyBytes(),
        ...(waiting && { waiting_operations: waiting() }),
        readonly: readOnly,
        pid: process.pid,
      };
    },
    stop: async () => {
      await stop();
      return { stopped: true };
    },
    getxattr: async (request) => {
      const { inode } = await paths.find(text(request, 'path'));
      return { value: toBase64(await files.getExtended(inode, utf8(text(request, 'name')))) };
    },
    setxattr: async (request) => {
      const { inode } = await paths.find(text(request, 'path'));
      await files.setExtended(inode, utf8(text(request, 'name')), fromBase64(text(request, 'value')));
      return {};
    },
  };
}

/** `waiting`: what was written is in a journal. */
function stillSending(name: string, pid: number, { waiting }: { waiting: unknown }): string {
  if (waiting !== undefined) return `volume "${name}" ends without the network: what waits stays in its journal`;
  return `volume "${name}" waits for the network: not all that was written is there yet; kill -9 ${pid} ends it without`;
}

export const createVolumeRoot: Running['createVolumeRoot'] = async ({ context, as, name, peers, signal, warn }) => {
  const volume = await getVolume(context, as, name);
  const common = { context, as, signal, warn, name: volume.name, monitoring: false, ready: () => {} };
  const stored = volume.mount_options.peers;
  const seeds = [...(peers ?? []), ...(stored ?? [])];
  const linked = await joined({ ...common, peers: seeds }, volume);
  try {
    const { close } = await openVolume(linked, volume, { door: false, signal });
    await close();
  } finally {
    await linked.close();
  }
};

export const volumeStatus: Running['volumeStatus'] = async (options) => {
  const { context, as } = options;
  const { name } = await getVolume(context, as, options.name);
  try {
    return (await askMonitor(monitorSocket(context.home, 'volume', as, name), 'volume')) as VolumeStatus;
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
    return { name, status: 'stopped' };
  }
};

export const stopVolume: Running['stopVolume'] = async (options) => {
  const { context, as, signal } = options;
  const before = await volumeStatus(options);
  if (before.status === 'stopped') {
    const hint = `infinit volume start ${before.name}`;
    throw new InfinitError('unavailable', `volume "${before.name}" is not running on this device`, { hint });
  }
  const socket = monitorSocket(context.home, 'volume', as, before.name);
  await tellingWhyItWaits(options, askMonitor(socket, 'stop', { timeoutMs: stopTimeoutMs }));
  const { clock } = context.runtime;
  const deadline = clock.monotonic() + endTimeoutMs;
  while (before.pid !== undefined && isAlive(before.pid)) {
    if (clock.monotonic() > deadline)
      throw new InfinitError('unavailable', `process ${before.pid} of volume "${before.name}" is still ending`);
    await clock.sleep(endPollMs, { signal });
  }
  return { name: before.name, status: 'stopped' };
};

/** The person who waits for a volume to stop is told when that takes long, whoever stops it. */
export async function tellingWhyItWaits<T>(options: Acting & { name: string }, stop: Promise<T>): Promise<T> {
  const tell = async () => {
    const { name, pid, waiting_operations: waiting } = await volumeStatus(options);
    if (pid !== undefined) options.warn(stillSending(name, pid, { waiting }));
  };
  // It may end just now.
  return toldWhenSlow(options.context.runtime.clock, stop, () => void tell().catch(() => {}));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export const volumeAttribute: Running['volumeAttribute'] = async (options) => {
  const { attribute, value } = options;
  const { socket, path } = await mountedVolume(options, options.path);
  const fields = { path, name: attribute };
  if (value === undefined) {
    const answer = (await askMonitor(socket, 'getxattr', { fields })) as { value: string };
    return fromBase64(answer.value).toString('utf8');
  }
  await askMonitor(socket, 'setxattr', { fields: { ...fields, value: toBase64(utf8(value)) } });
  return value;
};

/** The process that serves the mount a path is on, and the path within the volume. Throws `not-found`. */
async function mountedVolume(acting: Acting, given: string): Promise<{ socket: string; path: string }> {
  const { context, as } = acting;
  const path = join(await realpath(dirname(given)).catch(() => dirname(given)), basename(given));
  const isOn = (mountpoint: string) => path === mountpoint || mountpoint === '/' || path.startsWith(`${mountpoint}/`);
  const table = parseMountTable(await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''));
  const mount = table.filter((entry) => isOn(entry.path)).reduce((a, b) => (b.path.length >= a.path.length ? b : a));
  if (mount?.type === mountType) {
    for (const { name } of await listVolumes(context)) {
      const status = await volumeStatus({ ...acting, name });
      if (status.mountpoint !== mount.path) continue;
      return { socket: monitorSocket(context.home, 'volume', as, name), path: path.slice(mount.path.length) || '/' };
    }
  }
  const message = `${given} is on no volume that user "${as}" has mounted on this device`;
  const hint = 'volumes mounted with --monitoring=false cannot be asked';
  throw new InfinitError('not-found', message, mount?.type === mountType ? { hint } : {});
}
