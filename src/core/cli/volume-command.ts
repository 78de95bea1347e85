// What `volume run`, `mount` and `start` share: the same options, told apart by whether a mountpoint is needed and where it runs.

import { Flags } from '@oclif/core';
import { qualify } from '../descriptor/names.ts';
import { nameArg, nameFlag } from './flags.ts';
import { hubPresenceOf, presenceFilesOf, runFlags, withoutUndefined } from './presence.ts';
import { RunCommand } from './run-command.ts';
import type { RunVolumeOptions } from './running.ts';
import { type MountFlagValues, mountFlags, mountNotices, mountOptionsOf } from './volume-flags.ts';

export const volumeRunArgs = nameArg('volume');
export const volumeRunFlags = {
  ...nameFlag('volume'),
  ...mountFlags,
  daemon: runFlags.daemon,
  'port-file': runFlags['port-file'],
  'endpoints-file': runFlags['endpoints-file'],
  'peers-file': runFlags['peers-file'],
  log: runFlags.log,
  prometheus: runFlags.prometheus,
  'disable-UTF-8-conversion': Flags.boolean({ description: 'accepted for older scripts: names are never converted' }),
};

interface VolumeRunFlagValues extends MountFlagValues {
  daemon: boolean;
  'port-file'?: string | undefined;
  'endpoints-file'?: string | undefined;
  'peers-file'?: string | undefined;
  log?: string | undefined;
  prometheus?: string | undefined;
}

export abstract class VolumeCommand extends RunCommand {
  protected override readonly goesOn = true;

  /** Everything but the script. */
  protected async volumeOptions(
    name: string,
    flags: VolumeRunFlagValues,
    how: { mustMount: boolean; daemon?: boolean },
  ): Promise<RunVolumeOptions> {
    this.tell(...mountNotices(flags));
    if (hubPresenceOf(flags) !== undefined) this.hubAddress();
    const log = this.logTo(flags.log);
    const isDaemon = how.daemon ?? flags.daemon;
    const argv = how.daemon ? this.foregroundWords('volume mount') : this.foregroundWords();
    const directory = this.invocation.workingDirectory;
    return {
      ...(await this.acting()),
      ...presenceFilesOf(this.invocation, flags),
      ...withoutUndefined({
        log,
        daemon: isDaemon ? { argv, directory } : undefined,
        prometheus: this.metricsEndpoint(flags.prometheus),
      }),
      name: qualify('volume', name, this.user),
      mount: await mountOptionsOf(this.invocation, flags),
      ...this.hubOpener(),
      mustMount: how.mustMount,
      ...withoutUndefined({ registerService: flags['register-service'] }),
      force: this.invocation.forceRequested(),
      ready: (facts) => this.render(facts, `Running volume "${facts.name}".`),
    };
  }

  /** The volume's own options may ask for the hub too. */
  private hubOpener(): Pick<RunVolumeOptions, 'openHub'> {
    if (this.environment.hub === undefined) return {};
    return { openHub: async () => (await this.sharing()).hub.client };
  }
}
