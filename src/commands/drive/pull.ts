// infinit drive pull

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class DrivePull extends HubCommand {
  static override summary = 'Take a drive off the hub; its owner only';
  static override examples = [{ description: 'It stays on this device', command: 'infinit drive pull family' }];
  static override args = nameArg('drive');
  static override flags = nameFlag('drive');

  async run(): Promise<void> {
    const name = this.nameOf(await this.parse(DrivePull));
    await this.pull('drive', qualify('drive', name, this.user));
  }
}
