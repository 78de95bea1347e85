// infinit credentials list

import { BaseCommand } from '../../core/cli/base-command.ts';
import { namedServices, serviceFlags } from '../../core/cli/credentials-command.ts';
import { services } from '../../core/descriptor/services.ts';

export default class CredentialsList extends BaseCommand {
  static override summary = 'List the credentials on this device, without their secrets';
  static override examples = [
    { description: 'All', command: 'infinit credentials list' },
    { description: 'Those of one service', command: 'infinit credentials list --aws' },
  ];
  static override flags = serviceFlags;

  async run(): Promise<void> {
    const { flags } = await this.parse(CredentialsList);
    const core = await this.core();
    const { listCredentials } = await import('../../core/descriptor/credentials.ts');
    const all = await listCredentials(core, namedServices(flags));
    const lines = all.flatMap(({ service, name, display }, at) => [
      ...(all[at - 1]?.service === service ? [] : [`${services[service]}:`]),
      `  ${this.paint.bold(name)}${display === undefined ? '' : ` (${display})`}`,
    ]);
    this.render(all, lines);
  }
}
