// infinit daemon enable-storage

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';

export default class DaemonEnableStorage extends BaseCommand {
  static override summary = "Let this device keep data of a volume's network";
  static override description =
    'A silo is made for it unless this device contributes one already. The volume is mounted anew for a moment.';
  static override examples = [
    { description: 'From now on', command: 'infinit daemon enable-storage shared' },
    { description: 'Until this command is stopped', command: 'infinit daemon enable-storage shared --hold' },
  ];
  static override args = nameArg('volume');
  static override flags = {
    ...nameFlag('volume'),
    hold: Flags.boolean({ description: 'wait, and withdraw the storage when this command ends, however it ends' }),
  };

  protected override readonly goesOn = true;

  async run(): Promise<void> {
    const parsed = await this.parse(DaemonEnableStorage);
    const name = this.nameOf(parsed);
    const acting = await this.acting();
    const { enableStorage } = await this.supervising();
    const enabled = (silo: string) => this.render({ silo }, `Enabled storage for volume "${name}" in silo "${silo}".`);
    await enableStorage({ ...acting, name, hold: parsed.flags.hold, enabled });
  }
}
