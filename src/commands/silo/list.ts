// infinit silo list

import { BaseCommand } from '../../core/cli/base-command.ts';
import { formatBytes } from '../../core/cli/quantities.ts';
import { titled } from '../../core/cli/texts.ts';

export default class SiloList extends BaseCommand {
  static override summary = 'List the silos of this device';
  static override examples = [{ description: 'List silos', command: 'infinit silo list' }];

  async run(): Promise<void> {
    await this.parse(SiloList);
    const core = await this.core();
    const { listSilos } = await import('../../core/descriptor/silos.ts');
    const silos = await listSilos(core);
    this.render(
      silos,
      silos.map(({ name, description, capacity }) => {
        const size = capacity === undefined ? 'unlimited' : formatBytes(capacity);
        return `${titled(this.paint.bold(name), description)}: ${size}`;
      }),
    );
  }
}
