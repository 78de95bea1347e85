// infinit credentials delete

import { BaseCommand } from '../../core/cli/base-command.ts';
import { oneService, serviceFlags } from '../../core/cli/credentials-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { removedJson, removedLines } from '../../core/cli/texts.ts';

export default class CredentialsDelete extends BaseCommand {
  static override summary = 'Delete credentials from this device; silos that need them no longer open';
  static override examples = [{ description: 'Of Amazon', command: 'infinit credentials delete work --aws' }];
  static override args = nameArg('account');
  static override flags = { ...nameFlag('account'), ...serviceFlags };

  async run(): Promise<void> {
    const parsed = await this.parse(CredentialsDelete);
    const account = this.nameOf(parsed);
    const service = oneService(parsed.flags);
    const core = await this.core();
    const { deleteCredentials } = await import('../../core/descriptor/credentials.ts');
    const removed = await deleteCredentials(core, service, account);
    this.render(removedJson(removed), removedLines(removed));
  }
}
