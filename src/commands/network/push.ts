// infinit network push

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class NetworkPush extends HubCommand {
  static override summary = 'Put a network on the hub, for those with a passport';
  static override examples = [{ description: 'Put or renew it', command: 'infinit network push cluster' }];
  static override args = nameArg('network');
  static override flags = nameFlag('network');

  async run(): Promise<void> {
    await this.pushNamed('network', await this.parse(NetworkPush));
  }
}
