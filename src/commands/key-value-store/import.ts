// infinit key-value-store import

import { BaseCommand } from '../../core/cli/base-command.ts';
import { inputFlag } from '../../core/cli/flags.ts';
import { imported } from '../../core/cli/texts.ts';

export default class KeyValueStoreImport extends BaseCommand {
  static override summary = 'Take in a key-value store from a file or a pipe';
  static override examples = [
    {
      description: 'From another device',
      command: 'ssh desk infinit key-value-store export settings | infinit key-value-store import',
    },
  ];
  static override flags = inputFlag;

  async run(): Promise<void> {
    const { flags } = await this.parse(KeyValueStoreImport);
    const content = await this.importFrom(flags.input);
    const core = await this.core();
    const { importKeyValueStore } = await import('../../core/descriptor/key-value-stores.ts');
    const result = await importKeyValueStore(core, content);
    this.render({ name: result.name, result: result.result }, imported('key-value-store', result.name, result.result));
  }
}
