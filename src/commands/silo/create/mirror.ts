// infinit silo create mirror

import { FilterCommand, filterArgs, filterFlags } from '../../../core/cli/filter-command.ts';

export default class SiloCreateMirror extends FilterCommand {
  static override summary = 'Create a silo that keeps everything in each of several others';
  static override description =
    'The first is read: name the nearest first. What one of them loses it is given again; one that is away goes on where the others ' +
    'are when it is back.';
  static override examples = [
    { description: 'A disk and a bucket', command: 'infinit silo create mirror safe --silo disk --silo cloud' },
  ];
  static override args = filterArgs;
  static override flags = filterFlags;

  async run(): Promise<void> {
    const parsed = await this.parse(SiloCreateMirror);
    await this.createFilter('mirror', { ...parsed.flags, name: this.nameOf(parsed) });
  }
}
