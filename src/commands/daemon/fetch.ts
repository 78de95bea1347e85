// infinit daemon fetch

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { linkedLine } from '../../core/cli/texts.ts';

export default class DaemonFetch extends HubCommand {
  static override summary = 'Take all from the hub that mounting a volume here needs';
  static override description =
    'The volume, its network, your passport when it is not your network, and a link of this device, without storage.';
  static override examples = [
    { description: 'A volume of alice', command: 'infinit daemon fetch alice/shared' },
    { description: 'Then keep it mounted', command: 'infinit daemon manage-volumes --start alice/shared' },
  ];
  static override args = nameArg('volume');
  static override flags = nameFlag('volume');

  async run(): Promise<void> {
    const name = this.nameOf(await this.parse(DaemonFetch));
    const { fetchForMount } = await import('../../core/daemon/fetching.ts');
    const { fetched, linked } = await fetchForMount(await this.sharing(), name);
    this.tellFetched(fetched);
    if (linked !== undefined) this.say(linkedLine(linked));
  }
}
