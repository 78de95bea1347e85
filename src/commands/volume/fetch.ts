// infinit volume fetch

import { nameArg, nameFlag, networkFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class VolumeFetch extends HubCommand {
  static override summary = 'Take volumes from the hub: one, or all that are yours or of your networks';
  static override examples = [
    { description: 'One of alice', command: 'infinit volume fetch alice/shared' },
    { description: 'All of a network', command: 'infinit volume fetch --network alice/cluster' },
  ];
  static override args = nameArg('volume');
  static override flags = { ...nameFlag('volume'), ...networkFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(VolumeFetch);
    const name = args.name ?? flags.name;
    const { fetchTrees } = await import('../../core/hub/client/sharing.ts');
    this.tellFetched(
      await fetchTrees(await this.sharing(), 'volume', {
        name: name === undefined ? undefined : qualify('volume', name, this.user),
        network: flags.network === undefined ? undefined : qualify('network', flags.network, this.user),
      }),
    );
  }
}
