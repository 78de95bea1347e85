// infinit volume export

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, outputFlag } from '../../core/cli/flags.ts';
import { pretty } from '../../core/cli/texts.ts';

export default class VolumeExport extends BaseCommand {
  static override summary = 'Write a volume, without its mountpoint, for others to import';
  static override examples = [
    {
      description: 'Give it to another device',
      command: 'infinit volume export shared | ssh desk infinit volume import',
    },
  ];
  static override args = nameArg('volume');
  static override flags = { ...nameFlag('volume'), ...outputFlag };

  async run(): Promise<void> {
    const parsed = await this.parse(VolumeExport);
    const name = this.nameOf(parsed);
    const core = await this.core();
    const { exportVolume } = await import('../../core/descriptor/volumes.ts');
    const volume = await exportVolume(core, this.user, name);
    await this.exportTo(parsed.flags.output, volume, pretty('volume', volume.name));
  }
}
