// infinit network link

import { Flags } from '@oclif/core';
import { copyFlag, nameArg, nameFlag, portFlag, siloFlag } from '../../core/cli/flags.ts';
import { zoneFlag } from '../../core/cli/network-flags.ts';
import { RunCommand } from '../../core/cli/run-command.ts';
import { linkedLine, pretty, updated } from '../../core/cli/texts.ts';

export default class NetworkLink extends RunCommand {
  static override summary = 'Link this device to a network, with or without silos';
  static override examples = [
    { description: 'Link as a client', command: 'infinit network link alice/cluster' },
    { description: 'Contribute a silo', command: 'infinit network link alice/cluster --silo local' },
  ];
  static override args = nameArg('network');
  static override flags = {
    ...nameFlag('network'),
    ...siloFlag,
    ...portFlag,
    ...zoneFlag,
    ...copyFlag,
    'node-id': Flags.string({ description: 'identity of an earlier link to take up again', helpValue: 'ID' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkLink);
    const { flags } = parsed;
    const core = await this.core();
    const { linkNetwork } = await import('../../core/descriptor/links.ts');
    const { link, network, founded } = await linkNetwork(core, {
      as: this.user,
      name: this.nameOf(parsed),
      silos: flags.silo,
      nodeId: flags['node-id'],
      zone: flags.zone,
      port: flags.port,
      found: await this.founder(flags.silo),
    });
    const lines = [...(founded ? [updated('network', network.name)] : []), linkedLine(network.name)];
    const value = { name: network.name, node_id: link.node_id, silos: link.silos };
    if (flags.output !== '-') this.render(value, lines);
    if (flags.output !== undefined) await this.exportTo(flags.output, network, pretty('network', network.name));
  }
}
