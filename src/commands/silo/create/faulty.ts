// infinit silo create faulty

import { limits } from '../../../core/base/limits.ts';
import { FilterCommand, filterArgs, filterFlags } from '../../../core/cli/filter-command.ts';
import { integerFlag } from '../../../core/cli/flags.ts';

export default class SiloCreateFaulty extends FilterCommand {
  static override summary = 'Create a silo with faults of its own around another: to see how a network heals';
  static override examples = [
    {
      description: 'One read in a thousand damaged',
      command: 'infinit silo create faulty rotten --silo local --corrupt-every 1000',
    },
  ];
  static override args = filterArgs;
  static override flags = {
    ...filterFlags,
    'corrupt-every': integerFlag('reads', 'one read of so many is damaged', 1, limits.siloCorruptEveryMax),
    'break-after': integerFlag('changes', 'refuse changes after so many', 1, Number.MAX_SAFE_INTEGER),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(SiloCreateFaulty);
    const { 'corrupt-every': corruptEvery, 'break-after': breakAfter } = parsed.flags;
    await this.createFilter(
      'faulty',
      { ...parsed.flags, name: this.nameOf(parsed) },
      {
        ...(corruptEvery !== undefined && { corrupt_every: corruptEvery }),
        ...(breakAfter !== undefined && { break_after: breakAfter }),
      },
    );
  }
}
