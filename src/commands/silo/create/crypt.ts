// infinit silo create crypt

import { longEnough } from '../../../core/cli/credentials-command.ts';
import { FilterCommand, filterArgs, filterFlags, wrapped } from '../../../core/cli/filter-command.ts';

export default class SiloCreateCrypt extends FilterCommand {
  static override summary = 'Create a silo that encrypts all it keeps in the one it wraps, under a passphrase';
  static override description =
    'The passphrase is asked, or read from standard input, and kept among the credentials under the name of the silo. ' +
    'Without it the content is lost.';
  static override examples = [
    { description: 'On a disk of others', command: 'infinit silo create crypt secret --silo rented' },
  ];
  static override args = filterArgs;
  static override flags = filterFlags;

  async run(): Promise<void> {
    const parsed = await this.parse(SiloCreateCrypt);
    const { silo, description, output } = parsed.flags;
    const name = this.nameOf(parsed);
    const silos = wrapped('crypt', silo);
    const [core, { askSecrets }, { createCryptSilo }] = await Promise.all([
      this.core(),
      import('../../../core/cli/secrets.ts'),
      import('../../../core/descriptor/silos.ts'),
    ]);
    const [passphrase = ''] = await askSecrets(this.invocation, [{ message: 'Passphrase', check: longEnough }]);
    await this.answer(await createCryptSilo(core, { name, description, silos, passphrase, as: this.user }), output);
  }
}
