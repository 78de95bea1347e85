// infinit silo create sftp

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../../core/cli/base-command.ts';
import { capacityFlag, copyFlag, descriptionFlag, integerFlag, nameArg, nameFlag } from '../../../core/cli/flags.ts';
import { pretty, saved } from '../../../core/cli/texts.ts';

export default class SiloCreateSftp extends BaseCommand {
  static override summary = 'Create a silo in a folder of a server that ssh reaches';
  static override description =
    "The system's ssh is used, with the keys, agent and known hosts of whoever runs the node: `ssh HOST` must work " +
    'without a question.';
  static override examples = [
    { description: 'On a server', command: 'infinit silo create sftp away --host me@example.org --path /srv/infinit' },
  ];
  static override args = nameArg('silo');
  static override flags = {
    ...nameFlag('silo'),
    ...descriptionFlag,
    ...capacityFlag,
    host: Flags.string({ description: 'server, as ssh takes it', helpValue: '[USER@]HOST', required: true }),
    path: Flags.string({
      description: 'folder there, absolute; made when missing',
      helpValue: 'FOLDER',
      required: true,
    }),
    port: integerFlag('port', 'port of its ssh', 1, 65_535),
    'ssh-config': Flags.string({ description: 'configuration file for ssh', helpValue: 'FILE' }),
    ...copyFlag,
  };

  async run(): Promise<void> {
    const parsed = await this.parse(SiloCreateSftp);
    const { 'ssh-config': sshConfig, output, ...flags } = parsed.flags;
    const name = this.nameOf(parsed);
    const core = await this.core();
    const { createSftpSilo } = await import('../../../core/descriptor/silos.ts');
    const silo = await createSftpSilo(core, {
      ...flags,
      name,
      sshConfig: this.pathOf(sshConfig),
    });
    await this.present(silo, saved('silo', name), output, pretty('silo', name));
  }
}
