// infinit journal export

import { Flags } from '@oclif/core';
import { InfinitError } from '../../core/base/errors.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { outputFlag, requiredNetworkFlag, requiredOperationFlag } from '../../core/cli/flags.ts';

export default class JournalExport extends BaseCommand {
  static override summary = 'Write an operation that waits, or was refused, with its data';
  static override description =
    'As JSON; data is base64. It is as readable as the files themselves: a file is for you alone.';
  static override examples = [
    {
      description: 'To a file',
      command: 'infinit journal export --network cluster --operation alice/shared:12 --output operation.json',
    },
    {
      description: 'One that was refused, to be done with it',
      command: 'infinit journal export -N cluster -O alice/shared:12 -o operation.json --remove',
    },
  ];
  static override flags = {
    ...requiredNetworkFlag,
    ...requiredOperationFlag,
    ...outputFlag,
    remove: Flags.boolean({ description: 'a refused operation: keep it no more once it is written' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(JournalExport);
    const { network, operation } = flags;
    const options = { ...(await this.acting()), network, operation };
    const { journalOperation, forgetRefused } = await this.running();
    const found = await journalOperation(options);
    if (flags.remove && found.refused === undefined)
      throw new InfinitError('usage', `operation ${operation} waits to be sent: only refused ones are removed`);
    await this.exportTo(flags.output, found, `operation ${operation}`, true);
    if (flags.remove) await forgetRefused(options);
  }
}
