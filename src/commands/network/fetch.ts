// infinit network fetch

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class NetworkFetch extends HubCommand {
  static override summary = 'Take networks from the hub: one, or all you own or have a passport for';
  static override examples = [
    { description: 'One of alice', command: 'infinit network fetch alice/cluster' },
    { description: 'All that concern you', command: 'infinit network fetch' },
  ];
  static override args = nameArg('network');
  static override flags = nameFlag('network');

  async run(): Promise<void> {
    const wanted = this.oneOrAll('network', await this.parse(NetworkFetch));
    const { fetchNetworks } = await import('../../core/hub/client/sharing.ts');
    this.tellFetched(await fetchNetworks(await this.sharing(), wanted));
  }
}
