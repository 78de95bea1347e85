// infinit drive fetch

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class DriveFetch extends HubCommand {
  static override summary = 'Take drives from the hub: one, or all that are yours or offered to you';
  static override examples = [{ description: 'All that concern you', command: 'infinit drive fetch' }];
  static override args = nameArg('drive');
  static override flags = nameFlag('drive');

  async run(): Promise<void> {
    const wanted = this.oneOrAll('drive', await this.parse(DriveFetch));
    const { fetchDrives } = await import('../../core/hub/client/drives.ts');
    this.tellFetched(await fetchDrives(await this.sharing(), wanted));
  }
}
