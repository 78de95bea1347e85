// infinit drive pull

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { invitation } from '../../core/cli/texts.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class DrivePull extends HubCommand {
  static override summary = 'Take a drive off the hub; or, when you are invited to it, decline';
  static override examples = [
    { description: 'It stays on this device', command: 'infinit drive pull family' },
    { description: 'Decline', command: 'infinit drive pull alice/family' },
  ];
  static override args = nameArg('drive');
  static override flags = nameFlag('drive');

  async run(): Promise<void> {
    const parsed = await this.parse(DrivePull);
    const name = qualify('drive', this.nameOf(parsed), this.user);
    if (name.startsWith(`${this.user}/`)) return this.pull('drive', name);
    const { declineDrive } = await import('../../core/hub/client/drives.ts');
    await declineDrive(await this.sharing(), name);
    this.render({ type: 'invitation', name, result: 'deleted' }, `Remotely deleted ${invitation(name, this.user)}.`);
  }
}
