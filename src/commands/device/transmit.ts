// infinit device transmit

import { Flags } from '@oclif/core';
import { limits } from '../../core/base/limits.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { checkKind, pairingFlags, readPairingPassphrase } from '../../core/cli/pairing-flags.ts';
import { Progress } from '../../core/cli/progress.ts';
import type { Sharing } from '../../core/hub/client/sharing.ts';

const secondMs = 1000;
const askEverySeconds = 5;

export default class DeviceTransmit extends HubCommand {
  static override summary = 'Leave your identity on the hub for another device of yours, for five minutes';
  static override description =
    'It is sealed on this device under a passphrase that the hub does not see, and can be received once. Take a passphrase that ' +
    'nobody guesses: whoever receives the identity is you.';
  static override examples = [
    { description: 'Type a passphrase; then receive on the other device', command: 'infinit device transmit --user' },
    { description: 'In a script', command: 'infinit device transmit --as alice --user < passphrase' },
  ];
  static override flags = {
    ...pairingFlags,
    'no-countdown': Flags.boolean({ description: 'do not wait until it is received or gone' }),
  };

  protected override readonly goesOn = true;

  async run(): Promise<void> {
    const { flags } = await this.parse(DeviceTransmit);
    checkKind(flags.user);
    const sharing = await this.sharing();
    const { transmitUser } = await import('../../core/hub/client/pairing.ts');
    await transmitUser(sharing, await readPairingPassphrase(this.invocation, flags.passphrase));
    const { user: name } = this;
    this.render({ type: 'user', name, result: 'transmitted' }, `Transmitted user identity for "${name}".`);
    if (this.script || flags['no-countdown'] || !this.invocation.stderr.isTTY) return;
    await this.countDown(sharing);
  }

  /** For who waits at the terminal: how long it is there, and what became of it. */
  private async countDown(sharing: Sharing): Promise<void> {
    const { pairingState } = await import('../../core/hub/client/pairing.ts');
    const { signal, context } = await this.acting();
    const shown = new Progress(this.invocation.stderr, { quiet: false });
    const seconds = limits.hubPairingMs / secondMs;
    try {
      for (let left = seconds; left > 0; left--) {
        shown.tell(`User identity on the Hub for: ${left} seconds`, left / seconds);
        await context.runtime.clock.sleep(secondMs, { signal });
        if (left % askEverySeconds === 0 && (await pairingState(sharing)) !== 'waiting') break;
      }
    } finally {
      shown.done();
    }
    const received = (await pairingState(sharing)) === 'received';
    this.say(received ? 'User identity received.' : 'User identity no longer available on the Hub.');
  }
}
