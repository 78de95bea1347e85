// What commands of the daemon are given in transcripts: one daemon for all, kept in memory.

import { InfinitError } from '../../src/core/base/errors.ts';
import type { Acting } from '../../src/core/cli/running.ts';
import type { ManagedVolume, Supervising, UnitStatus } from '../../src/core/cli/supervising.ts';
import { unitFiles } from '../../src/core/daemon/units.ts';
import { getVolume, listVolumes } from '../../src/core/descriptor/volumes.ts';
import type { FakeRunning } from './fake-running.ts';

export class FakeSupervising {
  private readonly running: FakeRunning;
  private readonly units = new Map<string, UnitStatus>();
  private isRunning = false;

  constructor(running: FakeRunning) {
    this.running = running;
  }

  bound(): Supervising {
    const { running } = this;
    return {
      runDaemon: async (options) => {
        if (this.isRunning) throw new InfinitError('exists', 'the daemon is already running (pid 4711)');
        this.isRunning = options.daemon !== undefined;
        for (const given of options.volumes) await this.keep(options, given);
        options.ready({ pid: 4711 });
      },
      stopDaemon: async () => {
        this.check();
        this.isRunning = false;
        return { in_use: [] };
      },
      daemonStatus: async () =>
        this.isRunning ? { status: 'Running', pid: 4711, units: [...this.units.values()] } : { status: 'Stopped' },
      manageVolumes: async (options) => {
        this.check();
        const { context, as, action, name } = options;
        if (action === 'start') await this.keep(options, name ?? '');
        if (action === 'stop') this.units.delete((await getVolume(context, as, name ?? '')).name);
        const volumes = name === undefined ? await listVolumes(context) : [await getVolume(context, as, name)];
        return Promise.all(volumes.map((volume) => this.managed(options, volume.name)));
      },
      enableStorage: async ({ enabled }) => {
        this.check();
        enabled('alice.n');
        return { silo: 'alice.n' };
      },
      disableStorage: async () => {
        this.check();
        return { silos: ['alice.n'] };
      },
      installUnits: async ({ isSystem, words }) =>
        unitFiles({ isSystem, folder: '/units', program: ['infinit'], words, variables: {} }),
      startVolume: (options) => running.runVolume(options),
      stopVolume: (options) => running.stopVolume(options),
      volumeStatus: (options) => running.volumeStatus(options),
    };
  }

  private check(): void {
    if (!this.isRunning)
      throw new InfinitError('unavailable', 'the daemon is not running', { hint: 'infinit daemon start' });
  }

  private async keep({ context, as }: Acting, given: string): Promise<void> {
    const { name } = await getVolume(context, as, given);
    const since = '2026-01-01T00:00:00.000Z';
    this.units.set(name, { role: 'volume', user: as, name, state: 'running', since, pid: 4712, restarts: 0 });
  }

  private async managed(options: Acting, name: string): Promise<ManagedVolume> {
    const unit = this.units.get(name);
    const status = await this.running.volumeStatus({ ...options, name });
    return unit === undefined ? status : { ...status, status: 'running', mountpoint: '/mnt/shared', unit };
  }
}
