// infinit volume fetch

import { nameArg, nameFlag, networkFlag, peerFlag, serviceFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class VolumeFetch extends HubCommand {
  static override summary =
    'Take volumes from the hub, or from their network: one, or all that are yours or of your networks';
  static override examples = [
    { description: 'One of alice', command: 'infinit volume fetch alice/shared' },
    { description: 'All of a network', command: 'infinit volume fetch --network alice/cluster' },
    {
      description: 'Without a hub, what its owner has registered',
      command: 'infinit volume fetch alice/shared --service',
    },
  ];
  static override args = nameArg('volume');
  static override flags = { ...nameFlag('volume'), ...networkFlag, ...serviceFlag, ...peerFlag };

  async run(): Promise<void> {
    await this.fetchTrees('volume', await this.parse(VolumeFetch));
  }
}
