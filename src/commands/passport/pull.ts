// infinit passport pull

import { requiredNetworkFlag, requiredUserFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { checkName, qualify } from '../../core/descriptor/names.ts';

export default class PassportPull extends HubCommand {
  static override summary = 'Take a passport off the hub; to end it, revoke it';
  static override examples = [{ description: 'Of bob', command: 'infinit passport pull -N cluster -u bob' }];
  static override flags = { ...requiredNetworkFlag, ...requiredUserFlag };

  async run(): Promise<void> {
    const { network, user } = (await this.parse(PassportPull)).flags;
    await this.pull('passport', `${qualify('network', network, this.user)}/${checkName('user', user)}`);
  }
}
