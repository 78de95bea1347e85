// infinit silo create google-drive

import { DriveCommand, driveArgs, driveFlags } from '../../../core/cli/drive-command.ts';

export default class SiloCreateGoogleDrive extends DriveCommand {
  static override summary = 'Create a silo in a folder of a Google Drive';
  static override examples = [
    { description: 'With an account that was added', command: 'infinit silo create google-drive spare --account me' },
  ];
  static override args = driveArgs;
  static override flags = driveFlags('google-drive');

  async run(): Promise<void> {
    const parsed = await this.parse(SiloCreateGoogleDrive);
    await this.createDrive('google-drive', this.nameOf(parsed), parsed.flags);
  }
}
