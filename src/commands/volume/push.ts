// infinit volume push

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class VolumePush extends HubCommand {
  static override summary = 'Put a volume on the hub, for those in its network';
  static override examples = [{ description: 'Put or renew it', command: 'infinit volume push shared' }];
  static override args = nameArg('volume');
  static override flags = nameFlag('volume');

  async run(): Promise<void> {
    await this.pushNamed('volume', await this.parse(VolumePush));
  }
}
