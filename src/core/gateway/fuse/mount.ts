// A files view mounted: finds the place, mounts, serves, and lets go. From the mount on, this process must not touch the
// mountpoint by calls that wait: it would wait for itself.

import { rmdir } from 'node:fs/promises';
import { endianness } from 'node:os';
import { asError, InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Mounted, MountOptions } from './fuse.ts';
import { type MountEntry, mountAt, mountType } from './mount-table.ts';
import { attach, detach, raiseReadAhead } from './mounting.ts';
import { type Mountpoint, prepareMountpoint } from './mountpoint.ts';
import { Notifier } from './notify.ts';
import { parseFuseOptions } from './options.ts';
import { PipeTransport, worksHere } from './pipe-transport.ts';
import { PoolTransport } from './pool-transport.ts';
import { Serving } from './serving.ts';
import { Session } from './session.ts';
import { requestOverheadBytes, type Transport } from './transport.ts';

const component = 'fuse';
const frameBytes = limits.fuseDataBytesMax + requestOverheadBytes;

/** Which transport serves; found out when not said. */
export type TransportName = 'pipe' | 'pool';

/**
 * Serves until unmounted. Throws `usage` for unknown options, `exists` when the mountpoint is in use, `unsupported` when the system
 * lacks what it takes, `denied` when it does not let us.
 */
export async function mountFiles(options: MountOptions, transportName?: TransportName): Promise<Mounted> {
  const { runtime } = options;
  if (endianness() !== 'LE') throw new InfinitError('unsupported', 'mounting needs a little-endian machine');
  const parsed = parseFuseOptions(options.fuseOptions, options.readOnly);
  const chosen = transportName ?? ((await worksHere(runtime.clock)) ? 'pipe' : 'pool');
  const mountpoint = await prepareMountpoint(options.mountpoint, parsed.nonEmpty);
  let descriptor: number;
  try {
    descriptor = await attach({ path: mountpoint.path, source: options.name, ...parsed });
  } catch (error) {
    await removeMade(mountpoint);
    throw error;
  }
  const serving = new Serving({
    files: options.files,
    clock: runtime.clock,
    log: runtime.log,
    readOnly: parsed.readOnly,
    ownUid: process.getuid?.() ?? 0,
    mapOthers: options.mapOtherPermissions,
    metrics: runtime.metrics,
  });
  const mount = new FuseMount(serving, openTransport(descriptor, chosen), mountpoint, parsed.timeoutMs);
  await mount.start();
  return mount;
}

function openTransport(descriptor: number, name: TransportName): Transport {
  if (name === 'pipe') return new PipeTransport(descriptor, frameBytes);
  const threads = Number(process.env.UV_THREADPOOL_SIZE);
  return new PoolTransport(descriptor, frameBytes, threads > 0 ? threads : undefined);
}

class FuseMount implements Mounted {
  readonly mountpoint: string;
  readonly ended: Promise<void>;
  private readonly serving: Serving;
  private readonly transport: Transport;
  private readonly session: Session;
  private readonly notifier: Notifier;
  private entry: MountEntry | undefined;
  private hasEnded = false;

  constructor(serving: Serving, transport: Transport, mountpoint: Mountpoint, timeoutMs: number | undefined) {
    this.serving = serving;
    this.transport = transport;
    this.mountpoint = mountpoint.path;
    this.session = new Session(serving, transport, timeoutMs);
    this.notifier = new Notifier(serving, transport);
    this.ended = this.session.ended.then(async (error) => {
      this.hasEnded = true;
      this.notifier.stop();
      if (error) serving.log.write('warn', component, 'reading the device failed', { error: error.message });
      await this.clear(mountpoint);
    });
  }

  async start(): Promise<void> {
    const { clock, log } = this.serving;
    const giveUp = new AbortController();
    const late = clock.sleep(limits.fuseStartTimeoutMs, { signal: giveUp.signal }).then(() => {
      throw new InfinitError('unavailable', 'the kernel does not begin to speak');
    });
    try {
      await Promise.race([this.session.start(), late]);
    } catch (error) {
      await detach(this.mountpoint, true).catch(() => {});
      await this.transport.close();
      throw error;
    } finally {
      giveUp.abort();
    }
    this.notifier.start();
    this.entry = await mountAt(this.mountpoint);
    if (this.entry) await raiseReadAhead(this.entry);
    log.write('info', component, 'mounted', { mountpoint: this.mountpoint, transport: this.transport.name });
  }

  async unmount({ lazy = false }: { lazy?: boolean } = {}): Promise<void> {
    if (this.hasEnded) return;
    if (!lazy) await this.serving.files.syncAll();
    if (await this.isMounted()) await detach(this.mountpoint, lazy);
    // Another mount namespace may keep it.
    if (!lazy) await this.endedOrLate();
    // Pages of mapped files come when the kernel lets go.
    await this.serving.files.syncAll();
  }

  private async endedOrLate(): Promise<void> {
    const enough = new AbortController();
    const late = this.serving.clock.sleep(limits.fuseEndTimeoutMs, { signal: enough.signal }).catch(() => {});
    await Promise.race([this.ended, late]);
    enough.abort(); // a timer left would keep the process
  }

  /** Something else may lie on the mountpoint by now. */
  private async isMounted(): Promise<boolean> {
    const entry = await mountAt(this.mountpoint);
    return entry !== undefined && (this.entry === undefined || entry.id === this.entry.id);
  }

  /** The kernel may have been told to give up the connection, which leaves a dead mount behind. */
  private async clear(mountpoint: Mountpoint): Promise<void> {
    try {
      const entry = await mountAt(this.mountpoint);
      if (entry?.type === mountType && entry.id === this.entry?.id) await detach(this.mountpoint, true);
    } catch (error) {
      this.serving.log.write('warn', component, 'a dead mount stays', { error: asError(error).message });
    }
    await removeMade(mountpoint);
  }
}

/** What others put there stays. */
async function removeMade({ path, isMade }: Mountpoint): Promise<void> {
  if (isMade) await rmdir(path).catch(() => {});
}
