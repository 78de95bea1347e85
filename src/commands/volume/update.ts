// infinit volume update

import { InfinitError } from '../../core/base/errors.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { copyFlag, descriptionFlag, nameArg, nameFlag, pushFlag } from '../../core/cli/flags.ts';
import { pretty, updated } from '../../core/cli/texts.ts';
import { blockSizeFlag, mountNotices, mountOptionsOf, storedMountFlags } from '../../core/cli/volume-flags.ts';
import { withoutMountpoint } from '../../core/descriptor/signing.ts';

export default class VolumeUpdate extends BaseCommand {
  static override summary = 'Change a volume; its owner only, but for the mountpoint';
  static override examples = [
    { description: 'Where it is mounted here', command: 'infinit volume update shared --mountpoint /mnt/shared' },
    { description: 'Turn an option off', command: 'infinit volume update shared --readonly=false' },
  ];
  static override args = nameArg('volume');
  static override flags = {
    ...nameFlag('volume'),
    ...descriptionFlag,
    ...blockSizeFlag,
    ...storedMountFlags,
    ...copyFlag,
    ...pushFlag('volume'),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(VolumeUpdate);
    const { flags } = parsed;
    if (flags.push) this.hubAddress();
    const name = this.nameOf(parsed);
    this.tell(...mountNotices(flags));
    const mountOptions = await mountOptionsOf(this.invocation, flags);
    const { description, 'block-size': blockBytes, 'register-service': registers } = flags;
    if (description === undefined && blockBytes === undefined && Object.keys(mountOptions).length === 0 && !registers)
      throw new InfinitError('usage', 'nothing to update');
    const core = await this.core();
    const { updateVolume } = await import('../../core/descriptor/volumes.ts');
    const volume = await updateVolume(core, { as: this.user, name, description, blockBytes, mountOptions });
    if (registers) {
      const { registerService } = await this.running();
      await registerService({ ...(await this.acting()), kind: 'volume', name: volume.name });
    }
    const what = pretty('volume', volume.name);
    await this.present(withoutMountpoint(volume), updated('volume', volume.name), flags.output, what);
    if (flags.push) await this.pushToHub('volume', volume.name);
  }
}
