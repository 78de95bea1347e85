// infinit network stat

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { formatBytes } from '../../core/cli/quantities.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class NetworkStat extends HubCommand {
  static override summary = 'Show how full a network is, as its nodes told the hub';
  static override description =
    'Nodes that run with --publish tell the hub; those not heard of for a day do not count.';
  static override examples = [{ description: 'Capacity and usage', command: 'infinit network stat cluster' }];
  static override args = nameArg('network');
  static override flags = nameFlag('network');

  async run(): Promise<void> {
    const name = qualify('network', this.nameOf(await this.parse(NetworkStat)), this.user);
    const { usageOf } = await import('../../core/hub/client/nodes.ts');
    const { usage, capacity } = await usageOf((await this.sharing()).hub.client, name);
    this.render({ usage, capacity }, `${name}: ${formatBytes(usage)} of ${formatBytes(capacity)} used`);
  }
}
