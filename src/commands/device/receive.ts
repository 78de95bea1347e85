// infinit device receive

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { checkKind, pairingFlags, readPairingPassphrase } from '../../core/cli/pairing-flags.ts';

export default class DeviceReceive extends HubCommand {
  static override summary = 'Take the identity that another device of yours left on the hub';
  static override examples = [
    { description: 'Type the passphrase', command: 'infinit device receive --user --name alice' },
    { description: 'In a script', command: 'infinit device receive --user alice < passphrase' },
  ];
  static override args = nameArg('user');
  static override flags = { ...nameFlag('user'), ...pairingFlags };

  async run(): Promise<void> {
    const parsed = await this.parse(DeviceReceive);
    checkKind(parsed.flags.user);
    const name = this.nameOf(parsed, this.user);
    const sharing = await this.sharing();
    const passphrase = await readPairingPassphrase(this.invocation, parsed.flags.passphrase);
    const { receiveUser } = await import('../../core/hub/client/pairing.ts');
    await receiveUser(sharing, name, passphrase);
    this.render({ type: 'user', name, result: 'received' }, `Received user identity for "${name}".`);
  }
}
