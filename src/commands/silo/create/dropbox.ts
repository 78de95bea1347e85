// infinit silo create dropbox

import { DriveCommand, driveArgs, driveFlags } from '../../../core/cli/drive-command.ts';

export default class SiloCreateDropbox extends DriveCommand {
  static override summary = 'Create a silo in a folder of a Dropbox';
  static override examples = [
    { description: 'With an account that was added', command: 'infinit silo create dropbox spare --account me' },
  ];
  static override args = driveArgs;
  static override flags = driveFlags('dropbox');

  async run(): Promise<void> {
    const parsed = await this.parse(SiloCreateDropbox);
    await this.createDrive('dropbox', this.nameOf(parsed), parsed.flags);
  }
}
