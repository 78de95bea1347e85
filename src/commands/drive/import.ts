// infinit drive import

import { BaseCommand } from '../../core/cli/base-command.ts';
import { inputFlag } from '../../core/cli/flags.ts';
import { imported } from '../../core/cli/texts.ts';

export default class DriveImport extends BaseCommand {
  static override summary = 'Take in a drive from a file or a pipe';
  static override examples = [{ description: 'From a file', command: 'infinit drive import -i family.json' }];
  static override flags = inputFlag;

  async run(): Promise<void> {
    const { flags } = await this.parse(DriveImport);
    const content = await this.importFrom(flags.input);
    const core = await this.core();
    const { importDrive } = await import('../../core/descriptor/drives.ts');
    const { name, result } = await importDrive(core, content);
    this.render({ name, result }, imported('drive', name, result));
  }
}
