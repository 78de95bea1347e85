// infinit volume import

import { BaseCommand } from '../../core/cli/base-command.ts';
import { inputFlag } from '../../core/cli/flags.ts';
import { imported } from '../../core/cli/texts.ts';
import { mountpointFlag } from '../../core/cli/volume-flags.ts';

export default class VolumeImport extends BaseCommand {
  static override summary = 'Take in a volume from a file or a pipe';
  static override examples = [
    {
      description: 'From another device, with a place to mount it here',
      command: 'ssh desk infinit volume export shared | infinit volume import --mountpoint /mnt/shared',
    },
  ];
  static override flags = { ...inputFlag, ...mountpointFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(VolumeImport);
    const content = await this.importFrom(flags.input);
    const core = await this.core();
    const { importVolume } = await import('../../core/descriptor/volumes.ts');
    const mountpoint = this.pathOf(flags.mountpoint);
    const result = await importVolume(core, content, { mountpoint });
    this.render({ name: result.name, result: result.result }, imported('volume', result.name, result.result));
  }
}
