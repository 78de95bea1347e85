// infinit silo create strip

import { FilterCommand, filterArgs, filterFlags } from '../../../core/cli/filter-command.ts';

export default class SiloCreateStrip extends FilterCommand {
  static override summary = 'Create a silo that spreads data over several others by their capacity';
  static override examples = [
    { description: 'Two disks as one', command: 'infinit silo create strip both --silo left --silo right' },
  ];
  static override args = filterArgs;
  static override flags = filterFlags;

  async run(): Promise<void> {
    const parsed = await this.parse(SiloCreateStrip);
    await this.createFilter('strip', { ...parsed.flags, name: this.nameOf(parsed) });
  }
}
