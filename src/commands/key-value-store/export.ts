// infinit key-value-store export

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, outputFlag } from '../../core/cli/flags.ts';
import { pretty } from '../../core/cli/texts.ts';

export default class KeyValueStoreExport extends BaseCommand {
  static override summary = 'Write a key-value store, for others to import';
  static override examples = [
    {
      description: 'Give it to another device',
      command: 'infinit key-value-store export settings | ssh desk infinit key-value-store import',
    },
  ];
  static override args = nameArg('key-value store');
  static override flags = { ...nameFlag('key-value store'), ...outputFlag };

  async run(): Promise<void> {
    const parsed = await this.parse(KeyValueStoreExport);
    const core = await this.core();
    const { getKeyValueStore } = await import('../../core/descriptor/key-value-stores.ts');
    const store = await getKeyValueStore(core, this.user, this.nameOf(parsed));
    await this.exportTo(parsed.flags.output, store, pretty('key-value-store', store.name));
  }
}
