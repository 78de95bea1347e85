// infinit key-value-store fetch

import { nameArg, nameFlag, networkFlag, peerFlag, serviceFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class KeyValueStoreFetch extends HubCommand {
  static override summary =
    'Take key-value stores from the hub, or from their network: one, or all that are yours or of your networks';
  static override examples = [
    { description: 'One of alice', command: 'infinit key-value-store fetch alice/shared' },
    { description: 'All of a network', command: 'infinit key-value-store fetch --network alice/cluster' },
    {
      description: 'Without a hub, what its owner has registered',
      command: 'infinit key-value-store fetch alice/shared --service',
    },
  ];
  static override args = nameArg('key-value store');
  static override flags = { ...nameFlag('key-value store'), ...networkFlag, ...serviceFlag, ...peerFlag };

  async run(): Promise<void> {
    await this.fetchTrees('key-value-store', await this.parse(KeyValueStoreFetch));
  }
}
