// infinit volume delete

import { BaseCommand } from '../../core/cli/base-command.ts';
import { clearTree, deleteFlags } from '../../core/cli/delete-tree.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { removedJson, removedLines } from '../../core/cli/texts.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class VolumeDelete extends BaseCommand {
  static override summary = 'Delete a volume from this device, or from the network with all its files';
  static override examples = [
    { description: 'Forget it here; its files stay in the network', command: 'infinit volume delete shared' },
    {
      description: 'Delete it with its files everywhere; nodes give back the space',
      command: 'infinit volume delete shared --clear-content',
    },
  ];
  static override args = nameArg('volume');
  static override flags = { ...nameFlag('volume'), ...deleteFlags };

  async run(): Promise<void> {
    const parsed = await this.parse(VolumeDelete);
    const name = this.nameOf(parsed);
    const core = await this.core();
    const { pull, purge } = parsed.flags;
    if (pull) await this.pullFromHub('volume', qualify('volume', name, this.user), purge);
    if (parsed.flags['clear-content']) {
      const { invocation, script } = this;
      const parts = { invocation, script, acting: await this.acting(), running: await this.running() };
      const warn = (text: string) => this.warn(text);
      const { value, lines } = await clearTree({ ...parts, warn }, { kind: 'volume', name }, parsed.flags);
      return this.render(value, lines);
    }
    const { deleteVolume } = await import('../../core/descriptor/volumes.ts');
    const removed = await deleteVolume(core, this.user, name, { purge });
    this.render(removedJson(removed), removedLines(removed));
  }
}
