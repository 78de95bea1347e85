// infinit drive list

import { BaseCommand } from '../../core/cli/base-command.ts';
import { titled } from '../../core/cli/texts.ts';

export default class DriveList extends BaseCommand {
  static override summary = 'List the drives known on this device, and whether you have joined';
  static override examples = [{ description: 'List drives', command: 'infinit drive list' }];

  async run(): Promise<void> {
    await this.parse(DriveList);
    const core = await this.core();
    const { listDrives } = await import('../../core/descriptor/drives.ts');
    const drives = await listDrives(core, this.user);
    this.render(
      drives,
      drives.map(({ name, status, description }) => `${titled(this.paint.bold(name), description)}: ${status}`),
    );
  }
}
