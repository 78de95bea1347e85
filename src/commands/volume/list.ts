// infinit volume list

import { BaseCommand } from '../../core/cli/base-command.ts';
import { networkFlag } from '../../core/cli/flags.ts';
import { titled } from '../../core/cli/texts.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class VolumeList extends BaseCommand {
  static override summary = 'List the volumes known on this device';
  static override examples = [
    { description: 'All', command: 'infinit volume list' },
    { description: 'Those of a network, as JSON', command: 'infinit volume list --network cluster --script' },
  ];
  static override flags = networkFlag;

  async run(): Promise<void> {
    const { flags } = await this.parse(VolumeList);
    const core = await this.core();
    const { listVolumes } = await import('../../core/descriptor/volumes.ts');
    const network = flags.network === undefined ? undefined : qualify('network', flags.network, this.user);
    const volumes = await listVolumes(core, network);
    this.render(
      volumes,
      volumes.map((volume) => `${titled(this.paint.bold(volume.name), volume.description)}: ${volume.network}`),
    );
  }
}
