// infinit volume collect

import { CollectCommand, collectFlags } from '../../core/cli/collect-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';

export default class VolumeCollect extends CollectCommand {
  static override summary = 'Give back the space of what a volume does not use any more';
  static override description =
    'Runs by itself about once a day in a process that serves the volume. Space is given back by the storage nodes that are reachable.';
  static override examples = [
    { description: 'Begin now', command: 'infinit volume collect shared' },
    { description: 'Nobody reads old states: at once', command: 'infinit volume collect shared --grace 0 --wait' },
  ];
  static override args = nameArg('volume');
  static override flags = { ...nameFlag('volume'), ...collectFlags };

  async run(): Promise<void> {
    const parsed = await this.parse(VolumeCollect);
    await this.collect('volume', this.nameOf(parsed), parsed.flags);
  }
}
