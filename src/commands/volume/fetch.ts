// infinit volume fetch

import { nameArg, nameFlag, networkFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class VolumeFetch extends HubCommand {
  static override summary = 'Take volumes from the hub: one, or all that are yours or of your networks';
  static override examples = [
    { description: 'One of alice', command: 'infinit volume fetch alice/shared' },
    { description: 'All of a network', command: 'infinit volume fetch --network alice/cluster' },
  ];
  static override args = nameArg('volume');
  static override flags = { ...nameFlag('volume'), ...networkFlag };

  async run(): Promise<void> {
    await this.fetchTrees('volume', await this.parse(VolumeFetch));
  }
}
