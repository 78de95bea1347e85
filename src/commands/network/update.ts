// infinit network update

import { InfinitError } from '../../core/base/errors.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { copyFlag, descriptionFlag, nameArg, nameFlag, peerFlag, portFlag } from '../../core/cli/flags.ts';
import { protocolFlag, protocolNotice } from '../../core/cli/network-flags.ts';
import { expandPeers } from '../../core/cli/presence.ts';
import { pretty, updated } from '../../core/cli/texts.ts';

export default class NetworkUpdate extends BaseCommand {
  static override summary = 'Change a network; its owner only';
  static override examples = [
    {
      description: 'Tell nodes where to begin',
      command: 'infinit network update cluster --peer desk.example.org:4242',
    },
    { description: 'Upgrade the network', command: 'infinit network update cluster --compatibility-version 1.0.0' },
  ];
  static override args = nameArg('network');
  static override flags = {
    ...nameFlag('network'),
    ...descriptionFlag,
    ...portFlag,
    ...peerFlag,
    ...protocolFlag,
    ...copyFlag,
  };

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkUpdate);
    const { flags } = parsed;
    const peers = await expandPeers(this.invocation, flags.peer);
    this.tell(...protocolNotice(flags.protocol));
    const changes = [peers, flags.description, flags.port, flags['compatibility-version']];
    if (changes.every((change) => change === undefined)) throw new InfinitError('usage', 'nothing to update');
    const core = await this.core();
    const { updateNetwork } = await import('../../core/descriptor/networks.ts');
    const network = await updateNetwork(core, {
      as: this.user,
      name: this.nameOf(parsed),
      description: flags.description,
      peers,
      version: flags['compatibility-version'],
      port: flags.port,
    });
    await this.present(network, updated('network', network.name), flags.output, pretty('network', network.name));
  }
}
