// infinit silo create memory

import { BaseCommand } from '../../../core/cli/base-command.ts';
import { capacityFlag, copyFlag, descriptionFlag, nameArg, nameFlag } from '../../../core/cli/flags.ts';
import { pretty, saved } from '../../../core/cli/texts.ts';

export default class SiloCreateMemory extends BaseCommand {
  static override summary = 'Create a silo in memory: for trying out, empty at every start';
  static override examples = [
    { description: 'A silo for a test', command: 'infinit silo create memory scratch --capacity 1GB' },
  ];
  static override args = nameArg('silo');
  static override flags = { ...nameFlag('silo'), ...descriptionFlag, ...capacityFlag, ...copyFlag };

  async run(): Promise<void> {
    const parsed = await this.parse(SiloCreateMemory);
    const { output, description, capacity } = parsed.flags;
    const name = this.nameOf(parsed);
    const core = await this.core();
    const { createMemorySilo } = await import('../../../core/descriptor/silos.ts');
    const silo = await createMemorySilo(core, { name, description, capacity });
    await this.present(silo, saved('silo', name), output, pretty('silo', name));
  }
}
