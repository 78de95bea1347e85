// infinit silo export

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, outputFlag } from '../../core/cli/flags.ts';
import { pretty } from '../../core/cli/texts.ts';

export default class SiloExport extends BaseCommand {
  static override summary = 'Write a silo';
  static override examples = [{ description: 'To a file', command: 'infinit silo export local -o local.json' }];
  static override args = nameArg('silo');
  static override flags = { ...nameFlag('silo'), ...outputFlag };

  async run(): Promise<void> {
    const parsed = await this.parse(SiloExport);
    const core = await this.core();
    const { getSilo } = await import('../../core/descriptor/silos.ts');
    const silo = await getSilo(core, this.nameOf(parsed));
    await this.exportTo(parsed.flags.output, silo, pretty('silo', silo.name));
  }
}
