// infinit drive delete

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, pullFlag } from '../../core/cli/flags.ts';
import { removedJson, removedLines } from '../../core/cli/texts.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class DriveDelete extends BaseCommand {
  static override summary = 'Delete a drive from this device; its volume stays';
  static override examples = [{ description: 'Here and on the hub', command: 'infinit drive delete family --pull' }];
  static override args = nameArg('drive');
  static override flags = { ...nameFlag('drive'), ...pullFlag };

  async run(): Promise<void> {
    const parsed = await this.parse(DriveDelete);
    const name = qualify('drive', this.nameOf(parsed), this.user);
    const core = await this.core();
    if (parsed.flags.pull) await this.pullFromHub('drive', name);
    const { deleteDrive } = await import('../../core/descriptor/drives.ts');
    await deleteDrive(core, this.user, name);
    const removed = [{ kind: 'drive' as const, name }];
    this.render(removedJson(removed), removedLines(removed));
  }
}
