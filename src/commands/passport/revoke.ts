// infinit passport revoke

import { isError } from '../../core/base/errors.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { peerFlag, requiredNetworkFlag, requiredUserFlag } from '../../core/cli/flags.ts';
import { expandPeers } from '../../core/cli/presence.ts';
import { updated } from '../../core/cli/texts.ts';

export default class PassportRevoke extends BaseCommand {
  static override summary = "Take a user's right to join a network away; its owner only";
  static override description =
    'All passports the user has by now end, wherever they are, those made by delegates and those the user made as a delegate too. ' +
    'Nodes refuse the user from then on and close open connections. A passport created afterwards counts again.';
  static override examples = [
    { description: 'Keep bob out', command: 'infinit passport revoke --network cluster --user bob' },
  ];
  static override flags = { ...requiredNetworkFlag, ...requiredUserFlag, ...peerFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(PassportRevoke);
    const peers = await expandPeers(this.invocation, flags.peer);
    const acting = await this.acting();
    const { revokePassports } = await import('../../core/descriptor/revocations.ts');
    const { network, user, through } = await revokePassports(acting.context, {
      as: this.user,
      network: flags.network,
      user: flags.user,
    });
    const { publishNetwork } = await this.running();
    let nodes = 0;
    try {
      nodes = (await publishNetwork({ ...acting, name: network.name, ...(peers && { peers }) })).nodes;
    } catch (error) {
      if (!isError(error)) throw error;
      this.warn(
        `no node has been told: ${error.message}\nit takes effect once \`infinit network run\` or this command (with --peer) reaches the network from here`,
      );
    }
    const told = nodes === 0 ? [] : [`Told ${nodes} ${nodes === 1 ? 'node' : 'nodes'}; the others hear it from them.`];
    this.render({ network: network.name, user, through, nodes }, [
      updated('network', network.name),
      `Revoked the passports of "${user}" for network "${network.name}".`,
      ...told,
    ]);
  }
}
