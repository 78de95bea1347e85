// infinit key-value-store create

import { BaseCommand } from '../../core/cli/base-command.ts';
import {
  copyFlag,
  descriptionFlag,
  nameArg,
  nameFlag,
  pushFlag,
  registerServiceFlag,
  requiredNetworkFlag,
} from '../../core/cli/flags.ts';
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
    ...registerServiceFlag('key-value store'),
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
    if (parsed.flags['register-service']) await this.register(store.name);
    const what = pretty('key-value-store', store.name);
    await this.present(store, saved('key-value-store', store.name), output, what);
    if (push) await this.pushToHub('key-value-store', store.name);
  }

  /** Nothing is kept when that fails. */
  private async register(name: string): Promise<void> {
    const acting = await this.acting();
    const { registerService } = await this.running();
    try {
      await registerService({ ...acting, kind: 'key-value-store', name });
    } catch (error) {
      const { deleteKeyValueStore } = await import('../../core/descriptor/key-value-stores.ts');
      await deleteKeyValueStore(acting.context, this.user, name);
      throw error;
    }
  }
}
