// infinit volume stop

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';

export default class VolumeStop extends BaseCommand {
  static override summary = 'Unmount a volume and stop its process';
  static override examples = [{ description: 'Stop', command: 'infinit volume stop shared' }];
  static override args = nameArg('volume');
  static override flags = nameFlag('volume');

  async run(): Promise<void> {
    const name = this.nameOf(await this.parse(VolumeStop));
    const acting = await this.acting();
    const { stopVolume } = await this.supervising();
    const status = await stopVolume({ ...acting, name });
    this.render(status, `Stopped volume "${status.name}".`);
  }
}
