// infinit network pull

import { Flags } from '@oclif/core';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class NetworkPull extends HubCommand {
  static override summary = 'Take a network off the hub; its owner only';
  static override examples = [{ description: 'It stays on this device', command: 'infinit network pull cluster' }];
  static override args = nameArg('network');
  static override flags = {
    ...nameFlag('network'),
    purge: Flags.boolean({ description: 'take its passports, volumes and key-value stores off as well' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkPull);
    await this.pullNamed('network', parsed, parsed.flags.purge);
  }
}
