// infinit network push

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class NetworkPush extends HubCommand {
  static override summary = 'Put a network on the hub, for those with a passport';
  static override examples = [{ description: 'Put or renew it', command: 'infinit network push cluster' }];
  static override args = nameArg('network');
  static override flags = nameFlag('network');

  async run(): Promise<void> {
    const name = this.nameOf(await this.parse(NetworkPush));
    await this.push('network', qualify('network', name, this.user));
  }
}
