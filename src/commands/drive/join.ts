// infinit drive join

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class DriveJoin extends HubCommand {
  static override summary = 'Join a drive you are invited to: its network, passport and volume come along';
  static override examples = [{ description: 'Join', command: 'infinit drive join alice/family' }];
  static override args = nameArg('drive');
  static override flags = nameFlag('drive');

  async run(): Promise<void> {
    const name = qualify('drive', this.nameOf(await this.parse(DriveJoin)), this.user);
    const { joinDrive } = await import('../../core/hub/client/drives.ts');
    const fetched = await joinDrive(await this.sharing(), name);
    this.tellFetched(fetched);
    this.say(`Joined drive "${name}".`);
  }
}
