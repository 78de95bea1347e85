// infinit passport list

import { BaseCommand } from '../../core/cli/base-command.ts';
import { networkFlag } from '../../core/cli/flags.ts';

export default class PassportList extends BaseCommand {
  static override summary = 'List the passports known on this device';
  static override examples = [
    { description: 'All', command: 'infinit passport list' },
    { description: 'Of a network', command: 'infinit passport list --network cluster' },
  ];
  static override flags = networkFlag;

  async run(): Promise<void> {
    const { flags } = await this.parse(PassportList);
    const core = await this.core();
    const { listPassports } = await import('../../core/descriptor/passports.ts');
    const passports = await listPassports(core, this.user, flags.network);
    this.render(
      passports,
      passports.map(({ network, user }) => `${this.paint.bold(network)}: ${user}`),
    );
  }
}
