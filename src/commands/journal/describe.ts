// infinit journal describe

import { BaseCommand } from '../../core/cli/base-command.ts';
import { operationFlag, requiredNetworkFlag } from '../../core/cli/flags.ts';
import { journalOperationLine } from '../../core/cli/texts.ts';

export default class JournalDescribe extends BaseCommand {
  static override summary = 'List what waits on this device to be sent to a network';
  static override description =
    'In the order it was done. Behind it stand operations that others made impossible: they are kept with their data until they ' +
    'are taken out with `infinit journal export --remove`.';
  static override examples = [
    { description: 'All of it', command: 'infinit journal describe --network cluster' },
    { description: 'One operation', command: 'infinit journal describe --network cluster --operation alice/shared:12' },
  ];
  static override flags = { ...requiredNetworkFlag, ...operationFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(JournalDescribe);
    const acting = await this.acting();
    const { journalOperations } = await this.running();
    const found = await journalOperations({ ...acting, network: flags.network, operation: flags.operation });
    this.render(found, found.map(journalOperationLine));
  }
}
