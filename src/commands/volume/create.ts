// infinit volume create

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { copyFlag, descriptionFlag, nameArg, nameFlag, pushFlag, requiredNetworkFlag } from '../../core/cli/flags.ts';
import { pretty, saved } from '../../core/cli/texts.ts';
import { blockSizeFlag, mountNotices, mountOptionsOf, storedMountFlags } from '../../core/cli/volume-flags.ts';
import { withoutMountpoint } from '../../core/descriptor/signing.ts';

export default class VolumeCreate extends BaseCommand {
  static override summary = 'Create a volume in a network';
  static override description = 'Options of the mount are kept with the volume, for every time it is mounted.';
  static override examples = [
    { description: 'For yourself', command: 'infinit volume create shared --network cluster' },
    {
      description: 'For everybody with a passport, with a place to mount it',
      command: 'infinit volume create shared --network cluster --default-permissions rw --mountpoint /mnt/shared',
    },
  ];
  static override args = nameArg('volume');
  static override flags = {
    ...nameFlag('volume'),
    ...requiredNetworkFlag,
    ...descriptionFlag,
    'default-permissions': Flags.option({
      char: 'd',
      description: 'what everybody with a passport may do (default: nothing)',
      helpValue: 'r|rw',
      options: ['r', 'rw'] as const,
    })(),
    'create-root': Flags.boolean({ char: 'R', description: 'write its root into the network now' }),
    ...blockSizeFlag,
    ...storedMountFlags,
    ...copyFlag,
    ...pushFlag('volume'),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(VolumeCreate);
    const { flags } = parsed;
    if (flags.push) this.hubAddress();
    const name = this.nameOf(parsed);
    this.tell(...mountNotices(flags));
    const mountOptions = await mountOptionsOf(this.invocation, flags);
    const core = await this.core();
    const { createVolume } = await import('../../core/descriptor/volumes.ts');
    const volume = await createVolume(core, {
      as: this.user,
      name,
      network: flags.network,
      description: flags.description,
      defaultPermissions: flags['default-permissions'],
      blockBytes: flags['block-size'],
      mountOptions,
    });
    await this.makeKnown(volume.name, flags);
    const what = pretty('volume', volume.name);
    await this.present(withoutMountpoint(volume), saved('volume', volume.name), flags.output, what);
    if (flags.push) await this.pushToHub('volume', volume.name);
  }

  /** Nothing is kept when that fails. */
  private async makeKnown(name: string, flags: { 'create-root': boolean; 'register-service': boolean }): Promise<void> {
    if (!(flags['create-root'] || flags['register-service'])) return;
    const acting = await this.acting();
    const { createVolumeRoot, registerService } = await this.running();
    try {
      if (flags['register-service']) await registerService({ ...acting, kind: 'volume', name });
      else await createVolumeRoot({ ...acting, name });
    } catch (error) {
      const { deleteVolume } = await import('../../core/descriptor/volumes.ts');
      await deleteVolume(acting.context, this.user, name);
      throw error;
    }
  }
}
