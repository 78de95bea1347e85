// infinit key-value-store create

import { BaseCommand } from '../../core/cli/base-command.ts';
import { copyFlag, descriptionFlag, nameArg, nameFlag, pushFlag, requiredNetworkFlag } from '../../core/cli/flags.ts';
import { pretty, saved } from '../../core/cli/texts.ts';

export default class KeyValueStoreCreate extends BaseCommand {
  static override summary = 'Create a key-value store in a network';
  static override examples = [
    { description: 'Create', command: 'infinit key-value-store create settings --network cluster' },
  ];
  static override args = nameArg('key-value store');
  static override flags = {
    ...nameFlag('key-value store'),
    ...requiredNetworkFlag,
    ...descriptionFlag,
    ...copyFlag,
    ...pushFlag('kvs'),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(KeyValueStoreCreate);
    const { network, description, output, push } = parsed.flags;
    if (push) this.hubAddress();
    const name = this.nameOf(parsed);
    const core = await this.core();
    const { createKeyValueStore } = await import('../../core/descriptor/key-value-stores.ts');
    const store = await createKeyValueStore(core, { as: this.user, name, network, description });
    const what = pretty('key-value-store', store.name);
    await this.present(store, saved('key-value-store', store.name), output, what);
    if (push) await this.pushToHub('key-value-store', store.name);
  }
}
