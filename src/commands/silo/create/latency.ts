// infinit silo create latency

import { FilterCommand, filterArgs, filterFlags } from '../../../core/cli/filter-command.ts';
import { durationFlag } from '../../../core/cli/flags.ts';

export default class SiloCreateLatency extends FilterCommand {
  static override summary = 'Create a silo that answers later than the one it wraps: for trying out';
  static override examples = [
    {
      description: 'As slow as a distant bucket',
      command: 'infinit silo create latency slow --silo local --read 20ms --write 60ms',
    },
  ];
  static override args = filterArgs;
  static override flags = {
    ...filterFlags,
    read: durationFlag('how much longer a read takes (default: 0ms)'),
    write: durationFlag('how much longer a change takes (default: 0ms)'),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(SiloCreateLatency);
    const { read, write } = parsed.flags;
    await this.createFilter(
      'latency',
      { ...parsed.flags, name: this.nameOf(parsed) },
      {
        ...(read !== undefined && { latency_get: read }),
        ...(write !== undefined && { latency_put: write }),
      },
    );
  }
}
