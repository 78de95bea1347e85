// infinit user create

import { InfinitError } from '../../core/base/errors.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { copyFlag, descriptionFlag, nameArg, nameFlag, pushFlag } from '../../core/cli/flags.ts';
import { readKeyFile } from '../../core/cli/key-file.ts';
import { pretty, remotely, saved } from '../../core/cli/texts.ts';
import { identityFlags, keyFlag, ldapNameFlag, passwordsOf, personFlags } from '../../core/cli/user-hub-flags.ts';

export default class UserCreate extends BaseCommand {
  static override summary = 'Create a user: a key pair kept on this device';
  static override examples = [
    { description: 'Create the acting user', command: 'infinit user create' },
    { description: 'Take an existing Ed25519 key', command: 'infinit user create alice --key ~/.ssh/id_ed25519' },
  ];
  static override args = nameArg('user');
  static override flags = {
    ...nameFlag('user'),
    ...descriptionFlag,
    ...keyFlag,
    ...personFlags,
    ...copyFlag,
    ...pushFlag('user'),
    ...identityFlags,
    ...ldapNameFlag,
  };

  async run(): Promise<void> {
    const parsed = await this.parse(UserCreate);
    const { key, output, description, email, fullname, push, full, password } = parsed.flags;
    const name = this.nameOf(parsed, this.user);
    if (!push && (full || password !== undefined || parsed.flags['ldap-name'] !== undefined))
      throw new InfinitError('usage', '--full, --password and --ldap-name are for the hub: give --push as well');
    if (push) this.hubAddress();
    const seed = key === undefined ? undefined : (await readKeyFile(this.invocation, key)).seed;
    const secrets = await passwordsOf(this.invocation, parsed.flags);
    const core = await this.core();
    const { createUser, exportUser } = await import('../../core/descriptor/users.ts');
    await createUser(core, { name, description, email, fullname, seed });
    const generating = seed === undefined ? ['Generating Ed25519 keypair.'] : [];
    await this.present(
      await exportUser(core, name),
      [...generating, saved('user', name)],
      output,
      pretty('user', name),
    );
    if (!push) return;
    const { pushUser } = await import('../../core/hub/client/sharing.ts');
    const outcome = await pushUser(await this.sharing(), name, { full, ldapDn: parsed.flags['ldap-name'], ...secrets });
    this.say(remotely(outcome, 'user', name));
  }
}
