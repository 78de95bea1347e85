// infinit daemon disable-storage

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';

export default class DaemonDisableStorage extends BaseCommand {
  static override summary = "Let others take over what this device keeps of a volume's network";
  static override description =
    'Nothing is given up: it fails, and all stays as it was, when the other nodes cannot take over. The silo stays on the disk; ' +
    '`silo delete` removes it.';
  static override examples = [{ description: 'Take it out', command: 'infinit daemon disable-storage shared' }];
  static override args = nameArg('volume');
  static override flags = nameFlag('volume');

  async run(): Promise<void> {
    const parsed = await this.parse(DaemonDisableStorage);
    const name = this.nameOf(parsed);
    const acting = await this.acting();
    const { disableStorage } = await this.supervising();
    const disabled = await disableStorage({ ...acting, name });
    const was = disabled.silos.length === 0 ? 'was disabled already' : `of silo "${disabled.silos.join('", "')}"`;
    this.render(disabled, `Disabled storage for volume "${name}" ${was}.`);
  }
}
