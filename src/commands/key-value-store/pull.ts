// infinit key-value-store pull

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class KeyValueStorePull extends HubCommand {
  static override summary = 'Take a key-value store off the hub; its owner only';
  static override examples = [
    { description: 'It stays on this device', command: 'infinit key-value-store pull shared' },
  ];
  static override args = nameArg('key-value store');
  static override flags = nameFlag('key-value store');

  async run(): Promise<void> {
    await this.pullNamed('key-value-store', await this.parse(KeyValueStorePull));
  }
}
