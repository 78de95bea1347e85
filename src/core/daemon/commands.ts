// The daemon as the command line sees it: `Supervising` of cli/supervising.ts.

import { join } from 'node:path';
import { utf8 } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import type { Acting } from '../cli/running.ts';
import type { ManagedVolume, Supervising, UnitStatus } from '../cli/supervising.ts';
import { getVolume, listVolumes } from '../descriptor/volumes.ts';
import { reporting } from '../node/background.ts';
import { startDaemon } from '../node/daemon.ts';
import {
  volumeStatus as processStatus,
  runVolume,
  stopVolume as stopProcess,
  tellingWhyItWaits,
} from '../node/volume-commands.ts';
import { Book, lockPath } from './book.ts';
import { ControlClient } from './control.ts';
import { keyOf } from './daemon.ts';
import { Server } from './server.ts';
import { unitFiles } from './units.ts';

export const runDaemon: Supervising['runDaemon'] = async (options) => {
  const logs = options.logs ?? join(options.context.home.cache, 'logs');
  if (options.daemon !== undefined) {
    const words = [...options.daemon.argv, '--log-path', logs];
    options.ready(await startDaemon<{ pid: number }>(words, join(logs, 'daemon.log')));
    return;
  }
  await reporting(() => Server.run(options, logs));
};

export const stopDaemon: Supervising['stopDaemon'] = async (options) => {
  const { pid, in_use } = await withDaemon(options, async (client) => {
    const { pid } = await client.ask('status');
    return { pid: pid as number, in_use: (await client.ask('stop', { keep: options.keep })).in_use as string[] };
  });
  await ended(options, pid);
  return { in_use };
};

/** Its lock is free once it has ended. */
async function ended({ context, signal }: Acting, pid: number): Promise<void> {
  const { clock, files } = context.runtime;
  const deadline = clock.monotonic() + endTimeoutMs;
  for (;;) {
    try {
      await (await files.lock(lockPath(context.home))).release();
      return;
    } catch (error) {
      if (!isError(error, 'exists')) throw error;
      // Another one may have begun.
      if (error.data?.pid !== undefined && error.data.pid !== pid) return;
    }
    if (clock.monotonic() > deadline) throw new InfinitError('unavailable', `the daemon (pid ${pid}) is still ending`);
    await clock.sleep(endPollMs, { signal });
  }
}

const endTimeoutMs = 30_000;
const endPollMs = 50;

export const daemonStatus: Supervising['daemonStatus'] = async ({ context }) => {
  const client = await ControlClient.open(context.home);
  if (client === undefined) return { status: 'Stopped' };
  try {
    const { pid, metrics, units } = await client.ask('status');
    return { status: 'Running', pid: pid as number, metrics: metrics as string | null, units: units as UnitStatus[] };
  } finally {
    client.close();
  }
};

export const manageVolumes: Supervising['manageVolumes'] = async (options) => {
  const { context, as, action, name } = options;
  return withDaemon(options, async (client) => {
    const volumes = name === undefined ? await listVolumes(context) : [await getVolume(context, as, name)];
    if (action === 'start' || action === 'stop' || action === 'restart')
      for (const volume of volumes) await client.ask(`volume-${action}`, { volume: volume.name, user: as });
    const { volumes: units } = await client.ask('volume-list');
    return Promise.all(
      volumes.map(async ({ name }) => managed(await processStatus({ ...options, name }), as, units as UnitStatus[])),
    );
  });
};

function managed(status: ManagedVolume, user: string, units: readonly UnitStatus[]): ManagedVolume {
  const unit = units.find((one) => keyOf(one) === keyOf({ role: 'volume', user, name: status.name }));
  return unit === undefined ? status : { ...status, unit };
}

export const enableStorage: Supervising['enableStorage'] = (options) => {
  const { context, as, hold, signal, enabled } = options;
  return withDaemon(options, async (client) => {
    const { name } = await getVolume(context, as, options.name);
    const silo = String((await client.ask('enable-storage', { volume: name, user: as, hold })).silo);
    enabled(silo);
    // The daemon sees this connection end.
    if (hold && !signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    return { silo };
  });
};

export const disableStorage: Supervising['disableStorage'] = (options) =>
  withDaemon(options, async (client) => {
    const { name } = await getVolume(options.context, options.as, options.name);
    const { silos } = await client.ask('disable-storage', { volume: name, user: options.as });
    return { silos: silos as string[] };
  });

export const installUnits: Supervising['installUnits'] = async ({ context, isSystem, folder, words, variables }) => {
  const program = [process.execPath, ...process.execArgv, process.argv[1] ?? 'infinit'];
  const written = unitFiles({ isSystem, folder, program, words, variables });
  const { files } = context.runtime;
  await files.makeDirectory(folder);
  for (const { path, content } of written) await files.replace(path, utf8(content), { mode: 0o644 });
  return written;
};

export const startVolume: Supervising['startVolume'] = async (options) => {
  const { context, as, ready } = options;
  const client = await ControlClient.open(context.home);
  if (client === undefined) return runVolume(options);
  try {
    const { name } = await getVolume(context, as, options.name);
    const { argv: words, directory } = options.daemon ?? {};
    const { facts } = await client.ask('volume-start', { volume: name, user: as, words, directory });
    const { mountpoint } = await processStatus({ ...options, name });
    ready({ endpoints: [], ...(facts as { pid: number }), name, mountpoint: mountpoint ?? null });
  } finally {
    client.close();
  }
};

export const volumeStatus: Supervising['volumeStatus'] = async (options) => {
  const status = await processStatus(options);
  const { units } = await daemonStatus(options);
  return managed(status, options.as, units ?? []);
};

export const stopVolume: Supervising['stopVolume'] = async (options) => {
  const { context, as } = options;
  const { name } = await getVolume(context, as, options.name);
  const { units } = await daemonStatus(options);
  const key = keyOf({ role: 'volume', user: as, name });
  if (units?.some((unit) => keyOf(unit) === key)) {
    const stop = withDaemon(options, (client) => client.ask('volume-stop', { volume: name, user: as }));
    await tellingWhyItWaits({ ...options, name }, stop);
    return { name, status: 'stopped' };
  }
  const isForgotten = units === undefined && (await forget(options, key));
  try {
    return await stopProcess(options);
  } catch (error) {
    if (isForgotten && isError(error, 'unavailable')) return { name, status: 'stopped' };
    throw error;
  }
};

/** What a daemon that does not run would start again; whether it would have. */
async function forget({ context }: Acting, key: string): Promise<boolean> {
  const { files } = context.runtime;
  if ((await files.stat(lockPath(context.home))) === undefined) return false;
  const lock = await files.lock(lockPath(context.home));
  try {
    const book = await Book.open(files, context.home);
    if (!book.has(key)) return false;
    await book.remove(key);
    return true;
  } finally {
    await lock.release();
  }
}

async function withDaemon<T>({ context }: Acting, task: (client: ControlClient) => Promise<T>): Promise<T> {
  const client = await ControlClient.open(context.home);
  if (client === undefined)
    throw new InfinitError('unavailable', 'the daemon is not running', { hint: 'infinit daemon start' });
  try {
    return await task(client);
  } finally {
    client.close();
  }
}
