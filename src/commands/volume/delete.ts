// infinit volume delete

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, pullFlag } from '../../core/cli/flags.ts';
import { removedJson, removedLines } from '../../core/cli/texts.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class VolumeDelete extends BaseCommand {
  static override summary = 'Delete a volume from this device';
  static override examples = [
    { description: 'Forget it here; its files stay in the network', command: 'infinit volume delete shared' },
  ];
  static override args = nameArg('volume');
  static override flags = {
    ...nameFlag('volume'),
    ...pullFlag,
    purge: Flags.boolean({ description: 'delete what hangs on it as well, of which there is nothing yet' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(VolumeDelete);
    const name = this.nameOf(parsed);
    const core = await this.core();
    const { pull, purge } = parsed.flags;
    if (pull) await this.pullFromHub('volume', qualify('volume', name, this.user), purge);
    const { deleteVolume } = await import('../../core/descriptor/volumes.ts');
    const volume = await deleteVolume(core, this.user, name);
    const removed = [{ kind: 'volume' as const, name: volume.name }];
    this.render(removedJson(removed), removedLines(removed));
  }
}
