// infinit network fetch

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class NetworkFetch extends HubCommand {
  static override summary = 'Take networks from the hub: one, or all you own or have a passport for';
  static override examples = [
    { description: 'One of alice', command: 'infinit network fetch alice/cluster' },
    { description: 'All that concern you', command: 'infinit network fetch' },
  ];
  static override args = nameArg('network');
  static override flags = nameFlag('network');

  async run(): Promise<void> {
    const { args, flags } = await this.parse(NetworkFetch);
    const name = args.name ?? flags.name;
    const { fetchNetworks } = await import('../../core/hub/client/sharing.ts');
    const wanted = name === undefined ? undefined : qualify('network', name, this.user);
    this.tellFetched(await fetchNetworks(await this.sharing(), wanted));
  }
}
