// infinit network list-services

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, peerFlag } from '../../core/cli/flags.ts';
import { expandPeers, withoutUndefined } from '../../core/cli/presence.ts';

export default class NetworkListServices extends BaseCommand {
  static override summary = 'List the volumes and key-value stores registered in a network';
  static override examples = [{ description: 'List them', command: 'infinit network list-services alice/cluster' }];
  static override args = nameArg('network');
  static override flags = { ...nameFlag('network'), ...peerFlag };

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkListServices);
    const name = this.nameOf(parsed);
    const acting = await this.acting();
    const { listServices } = await this.running();
    const peers = await expandPeers(this.invocation, parsed.flags.peer);
    const services = await listServices({ ...acting, name, ...withoutUndefined({ peers }) });
    this.render(services, [
      ...(services.volumes ?? []).map((volume) => `volume "${volume}"`),
      ...(services.kvs ?? []).map((store) => `key-value store "${store}"`),
    ]);
  }
}
