// infinit drive export

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, outputFlag } from '../../core/cli/flags.ts';
import { pretty } from '../../core/cli/texts.ts';

export default class DriveExport extends BaseCommand {
  static override summary = 'Write a drive, for others to import';
  static override examples = [{ description: 'To a file', command: 'infinit drive export family -o family.json' }];
  static override args = nameArg('drive');
  static override flags = { ...nameFlag('drive'), ...outputFlag };

  async run(): Promise<void> {
    const parsed = await this.parse(DriveExport);
    const core = await this.core();
    const { getDrive } = await import('../../core/descriptor/drives.ts');
    const drive = await getDrive(core, this.user, this.nameOf(parsed));
    await this.exportTo(parsed.flags.output, drive, pretty('drive', drive.name));
  }
}
