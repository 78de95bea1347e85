// infinit drive pull

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class DrivePull extends HubCommand {
  static override summary = 'Take a drive off the hub; its owner only';
  static override examples = [{ description: 'It stays on this device', command: 'infinit drive pull family' }];
  static override args = nameArg('drive');
  static override flags = nameFlag('drive');

  async run(): Promise<void> {
    await this.pullNamed('drive', await this.parse(DrivePull));
  }
}
