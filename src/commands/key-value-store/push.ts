// infinit key-value-store push

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class KeyValueStorePush extends HubCommand {
  static override summary = 'Put a key-value store on the hub, for those in its network';
  static override examples = [{ description: 'Put or renew it', command: 'infinit key-value-store push shared' }];
  static override args = nameArg('key-value store');
  static override flags = nameFlag('key-value store');

  async run(): Promise<void> {
    await this.pushNamed('key-value-store', await this.parse(KeyValueStorePush));
  }
}
