// infinit network create

import {
  copyFlag,
  descriptionFlag,
  nameArg,
  nameFlag,
  peerFlag,
  portFlag,
  pushFlag,
  siloFlag,
} from '../../core/cli/flags.ts';
import {
  adminFlags,
  adminsFrom,
  modelFlags,
  modelOf,
  overlayNotices,
  protocolFlag,
  protocolNotice,
  zoneFlag,
} from '../../core/cli/network-flags.ts';
import { expandPeers } from '../../core/cli/presence.ts';
import { RunCommand } from '../../core/cli/run-command.ts';
import { linkedLine, pretty, saved } from '../../core/cli/texts.ts';

export default class NetworkCreate extends RunCommand {
  static override summary = 'Create a network and link this device to it';
  static override examples = [
    { description: 'A network kept by this device', command: 'infinit network create cluster --silo local' },
    {
      description: 'Three copies, a few nodes that know one another',
      command: 'infinit network create cluster --silo local --replication-factor 3 --kouncil',
    },
  ];
  static override args = nameArg('network');
  static override flags = {
    ...nameFlag('network'),
    ...descriptionFlag,
    ...siloFlag,
    ...modelFlags,
    ...adminFlags,
    ...peerFlag,
    ...portFlag,
    ...zoneFlag,
    ...protocolFlag,
    ...copyFlag,
    ...pushFlag('network'),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkCreate);
    const { flags } = parsed;
    if (flags.push) this.hubAddress();
    const name = this.nameOf(parsed);
    this.tell(...overlayNotices(flags), ...protocolNotice(flags.protocol));
    const peers = await expandPeers(this.invocation, flags.peer);
    const core = await this.core();
    const { createNetwork } = await import('../../core/descriptor/networks.ts');
    const { link, network } = await createNetwork(core, {
      as: this.user,
      name,
      description: flags.description,
      version: flags['compatibility-version'],
      peers,
      silos: flags.silo,
      admins: adminsFrom(flags),
      zone: flags.zone,
      port: flags.port,
      found: await this.founder(flags.silo),
      ...modelOf(flags),
    });
    const lines = [saved('network', network.name), linkedLine(network.name)];
    if (flags.output !== '-') this.render({ ...network, node_id: link.node_id }, lines);
    if (flags.output !== undefined) await this.exportTo(flags.output, network, pretty('network', network.name));
    if (flags.push) await this.pushToHub('network', network.name);
  }
}
