// infinit passport push

import { requiredNetworkFlag, requiredUserFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { checkName, qualify } from '../../core/descriptor/names.ts';

export default class PassportPush extends HubCommand {
  static override summary = 'Put a passport on the hub, for its user to fetch';
  static override examples = [{ description: 'For bob', command: 'infinit passport push -N cluster -u bob' }];
  static override flags = { ...requiredNetworkFlag, ...requiredUserFlag };

  async run(): Promise<void> {
    const { network, user } = (await this.parse(PassportPush)).flags;
    await this.push('passport', `${qualify('network', network, this.user)}/${checkName('user', user)}`);
  }
}
