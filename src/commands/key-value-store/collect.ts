// infinit key-value-store collect

import { CollectCommand, collectFlags } from '../../core/cli/collect-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';

export default class KeyValueStoreCollect extends CollectCommand {
  static override summary = 'Give back the space of what a key-value store does not use any more';
  static override description =
    'Runs by itself about once a day in a process that serves the key-value store. Space is given back by the storage nodes that are reachable.';
  static override examples = [
    { description: 'Begin now', command: 'infinit key-value-store collect settings' },
    {
      description: 'Nobody reads old states: at once',
      command: 'infinit key-value-store collect settings --grace 0 --wait',
    },
  ];
  static override args = nameArg('key-value store');
  static override flags = { ...nameFlag('key-value store'), ...collectFlags };

  async run(): Promise<void> {
    const parsed = await this.parse(KeyValueStoreCollect);
    await this.collect('key-value-store', this.nameOf(parsed), parsed.flags);
  }
}
