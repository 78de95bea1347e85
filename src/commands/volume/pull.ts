// infinit volume pull

import { Flags } from '@oclif/core';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class VolumePull extends HubCommand {
  static override summary = 'Take a volume off the hub; its owner only';
  static override examples = [{ description: 'It stays on this device', command: 'infinit volume pull shared' }];
  static override args = nameArg('volume');
  static override flags = {
    ...nameFlag('volume'),
    purge: Flags.boolean({ description: 'take its drives off as well' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(VolumePull);
    await this.pullNamed('volume', parsed, parsed.flags.purge);
  }
}
