// infinit network update

import { InfinitError } from '../../core/base/errors.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { copyFlag, descriptionFlag, nameArg, nameFlag, peerFlag, portFlag, pushFlag } from '../../core/cli/flags.ts';
import {
  adminFlags,
  adminNotices,
  adminRemoveFlag,
  adminsFrom,
  changedOverlayOf,
  overlayFlags,
  protocolFlag,
  protocolNotice,
  zoneFlag,
} from '../../core/cli/network-flags.ts';
import { expandPeers } from '../../core/cli/presence.ts';
import { pretty, updated } from '../../core/cli/texts.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class NetworkUpdate extends BaseCommand {
  static override summary = "Change a network, its owner only; or this device's link to it";
  static override description =
    'Port and zone are of this device, whoever owns the network, and hold from the next start of its node on.';
  static override examples = [
    {
      description: 'Tell nodes where to begin',
      command: 'infinit network update cluster --peer desk.example.org:4242',
    },
    { description: 'Change the overlay while nothing runs', command: 'infinit network update cluster --kouncil' },
    { description: 'Say where this device stands', command: 'infinit network update cluster --zone cellar' },
    { description: 'Upgrade the network', command: 'infinit network update cluster --compatibility-version 1.0.0' },
  ];
  static override args = nameArg('network');
  static override flags = {
    ...nameFlag('network'),
    ...descriptionFlag,
    ...portFlag,
    ...zoneFlag,
    ...peerFlag,
    ...overlayFlags,
    ...adminFlags,
    ...adminRemoveFlag,
    ...protocolFlag,
    ...copyFlag,
    ...pushFlag('network'),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkUpdate);
    const { flags } = parsed;
    if (flags.push) this.hubAddress();
    const peers = await expandPeers(this.invocation, flags.peer);
    this.tell(...protocolNotice(flags.protocol));
    const overlay = changedOverlayOf(flags);
    const changes = [peers, flags.description, flags.port, flags.zone, flags['compatibility-version'], overlay];
    const admins = adminsFrom(flags);
    if (Object.values(admins).some((names) => names !== undefined)) this.tell(...adminNotices);
    else if (changes.every((change) => change === undefined)) throw new InfinitError('usage', 'nothing to update');
    const core = await this.core();
    if (overlay !== undefined) await this.checkStopped(this.nameOf(parsed), peers);
    const { updateNetwork } = await import('../../core/descriptor/networks.ts');
    const network = await updateNetwork(core, {
      as: this.user,
      name: this.nameOf(parsed),
      description: flags.description,
      peers,
      version: flags['compatibility-version'],
      port: flags.port,
      zone: flags.zone,
      overlay,
      admins,
    });
    await this.present(network, updated('network', network.name), flags.output, pretty('network', network.name));
    if (flags.push) await this.pushToHub('network', network.name);
  }

  /** Nodes choose their overlay when they start: of two kinds they would hardly meet. */
  private async checkStopped(name: string, peers: readonly string[] | undefined): Promise<void> {
    const { repository } = await this.core();
    const network = qualify('network', name, this.user);
    if (!(await repository.has('linked-network', `${this.user}/${network}`))) return;
    const { networkSeen } = await this.running();
    const { nodes } = await networkSeen({ ...(await this.acting()), name: network, ...(peers && { peers }) });
    if (nodes === 0) return;
    throw new InfinitError('conflict', `network "${network}" runs: its overlay can be changed only while it does not`, {
      hint: `stop its nodes and mounts everywhere first; ${nodes} ${nodes === 1 ? 'node is' : 'nodes are'} seen from here`,
    });
  }
}
