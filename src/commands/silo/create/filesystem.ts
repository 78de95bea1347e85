// infinit silo create filesystem

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../../core/cli/base-command.ts';
import { capacityFlag, copyFlag, descriptionFlag, nameArg, nameFlag } from '../../../core/cli/flags.ts';
import { pretty, saved } from '../../../core/cli/texts.ts';

export default class SiloCreateFilesystem extends BaseCommand {
  static override summary = 'Create a silo in a folder of this device';
  static override examples = [
    { description: 'In the default place, bounded', command: 'infinit silo create filesystem local --capacity 50GB' },
    { description: 'On another disk', command: 'infinit silo create filesystem big --path /mnt/disk/infinit' },
  ];
  static override args = nameArg('silo');
  static override flags = {
    ...nameFlag('silo'),
    ...descriptionFlag,
    ...capacityFlag,
    ...copyFlag,
    path: Flags.string({ description: 'folder (default: a folder in the home)', helpValue: 'FOLDER' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(SiloCreateFilesystem);
    const { output, path, description, capacity } = parsed.flags;
    const name = this.nameOf(parsed);
    const folder = this.pathOf(path);
    const core = await this.core();
    const { createFilesystemSilo } = await import('../../../core/descriptor/silos.ts');
    const { silo, notEmpty } = await createFilesystemSilo(core, { name, description, capacity, path: folder });
    if (notEmpty) this.warn(`folder ${silo.path} is not empty`);
    await this.present(silo, saved('silo', name), output, pretty('silo', name));
  }
}
