// infinit drive push

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class DrivePush extends HubCommand {
  static override summary = 'Put a drive on the hub, for whom you invite';
  static override examples = [{ description: 'Put or renew it', command: 'infinit drive push family' }];
  static override args = nameArg('drive');
  static override flags = nameFlag('drive');

  async run(): Promise<void> {
    await this.pushNamed('drive', await this.parse(DrivePush));
  }
}
