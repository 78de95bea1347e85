// infinit network recover

import { Flags } from '@oclif/core';
import { InfinitError } from '../../core/base/errors.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, peerFlag } from '../../core/cli/flags.ts';
import { expandPeers } from '../../core/cli/presence.ts';
import type { LostRegister, RecoveryFacts } from '../../core/cli/running.ts';
import { recoveryWarning } from '../../core/cli/texts.ts';

export default class NetworkRecover extends BaseCommand {
  static override summary = 'Go on with what is left after most nodes of a network were lost for good; owners only';
  static override description =
    'A network agrees by majorities. When the disks of most nodes that kept something are gone, nothing can be agreed on any ' +
    'more, and what is left waits for them. This command begins anew with the newest copies found: of the network, and of the ' +
    'volumes and key-value stores that the acting user owns. What only the lost nodes had is lost; should they come back, ' +
    'they have no say.';
  static override examples = [
    { description: 'See what is lost, and go on after a confirmation', command: 'infinit network recover cluster' },
    { description: 'By a node that is left', command: 'infinit network recover cluster --peer desk.example.org:4242' },
  ];
  static override args = nameArg('network');
  static override flags = {
    ...nameFlag('network'),
    ...peerFlag,
    force: Flags.boolean({ char: 'f', description: 'do not ask' }),
  };

  protected override readonly goesOn = true;

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkRecover);
    const { force } = parsed.flags;
    const name = this.nameOf(parsed);
    const peers = await expandPeers(this.invocation, parsed.flags.peer);
    const acting = await this.acting();
    const { recoverNetwork } = await this.running();
    const confirm = async ({ lost }: RecoveryFacts) => {
      if (!this.script) this.tell(...lost.map(lostLine));
      this.warn(recoveryWarning);
      if (!force && !this.script) await this.confirm(name);
    };
    const facts = await recoverNetwork({ ...acting, name, confirm, ...(peers && { peers }) });
    this.render(facts, linesOf(facts));
  }

  private async confirm(name: string): Promise<void> {
    const { confirmByTyping } = await import('../../core/cli/questions.ts');
    const typed = await confirmByTyping(this.invocation, 'Type the name of the network to go on without them:', name);
    if (!typed) throw new InfinitError('cancelled', `network "${name}" is left as it is: the name typed is another`);
  }
}

function lostLine({ what, name, members, copies, missing, owned }: LostRegister): string {
  const which = what === 'network' ? 'The network register' : `The root of "${name}"`;
  const nodes = missing.map((node) => node.slice(0, 12)).join(', ');
  const whose = owned ? '' : '; its owner must recover it';
  return `${which}: ${copies} of ${members} members left, missing ${nodes}${whose}`;
}

function linesOf({ name, checked, lost }: RecoveryFacts & { name: string }): string[] {
  if (lost.length === 0) return [`Nothing is lost: all ${checked} registers of network "${name}" are agreed on.`];
  const own = lost.filter(({ owned }) => owned).length;
  const others = lost.length - own;
  return [
    `Recovered ${own} of ${checked} registers of network "${name}".`,
    ...(others > 0 ? [`${others} more belong to others, who must do the same.`] : []),
  ];
}
