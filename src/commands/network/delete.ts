// infinit network delete

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, pullFlag } from '../../core/cli/flags.ts';
import { removedJson, removedLines } from '../../core/cli/texts.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class NetworkDelete extends BaseCommand {
  static override summary = 'Delete a network from this device';
  static override examples = [
    { description: 'Delete a network nobody is linked to here', command: 'infinit network delete cluster' },
    {
      description: 'Unlink and delete with all that belongs to it',
      command: 'infinit network delete cluster --unlink --purge',
    },
  ];
  static override args = nameArg('network');
  static override flags = {
    ...nameFlag('network'),
    purge: Flags.boolean({ description: 'delete its passports, volumes, key-value stores and drives as well' }),
    ...pullFlag,
    unlink: Flags.boolean({ description: 'unlink the users of this device first' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkDelete);
    const { purge, unlink, pull } = parsed.flags;
    const name = this.nameOf(parsed);
    const core = await this.core();
    if (pull) await this.pullFromHub('network', qualify('network', name, this.user), purge);
    const { deleteNetwork } = await import('../../core/descriptor/networks.ts');
    const removed = await deleteNetwork(core, this.user, name, { purge, unlink });
    this.render(removedJson(removed), removedLines(removed));
  }
}
