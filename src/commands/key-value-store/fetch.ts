// infinit key-value-store fetch

import { nameArg, nameFlag, networkFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class KeyValueStoreFetch extends HubCommand {
  static override summary = 'Take key-value stores from the hub: one, or all that are yours or of your networks';
  static override examples = [
    { description: 'One of alice', command: 'infinit key-value-store fetch alice/shared' },
    { description: 'All of a network', command: 'infinit key-value-store fetch --network alice/cluster' },
  ];
  static override args = nameArg('key-value store');
  static override flags = { ...nameFlag('key-value store'), ...networkFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(KeyValueStoreFetch);
    const name = args.name ?? flags.name;
    const { fetchTrees } = await import('../../core/hub/client/sharing.ts');
    this.tellFetched(
      await fetchTrees(await this.sharing(), 'key-value-store', {
        name: name === undefined ? undefined : qualify('key-value store', name, this.user),
        network: flags.network === undefined ? undefined : qualify('network', flags.network, this.user),
      }),
    );
  }
}
