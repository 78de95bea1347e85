// infinit network run

import { Flags } from '@oclif/core';
import { bytesFlag, durationFlag, nameArg, nameFlag } from '../../core/cli/flags.ts';
import { hubFlags, runFlags } from '../../core/cli/presence.ts';
import { RunCommand } from '../../core/cli/run-command.ts';

export default class NetworkRun extends RunCommand {
  static override summary = 'Run the node of this device: keep and serve what the network stores';
  static override examples = [
    { description: 'Until stopped', command: 'infinit network run cluster' },
    { description: 'In the background, on a fixed port', command: 'infinit network run cluster --daemon --port 4242' },
  ];
  static override args = nameArg('network');
  static override flags = {
    ...nameFlag('network'),
    ...runFlags,
    ...hubFlags,
    'paxos-rebalancing-auto-expand': Flags.boolean({
      description: 'move copies to new nodes (default: yes)',
      default: true,
      allowNo: true,
    }),
    'paxos-rebalancing-inspect': Flags.boolean({
      description: 'look for missing copies at start (default: yes)',
      default: true,
      allowNo: true,
    }),
    'resign-on-shutdown': Flags.boolean({
      description: 'when stopped, hand over what this node holds first, within 5 minutes',
      default: false,
    }),
    'background-rate': bytesFlag('most bytes background work moves a second', 'no limit'),
    'scrub-period': durationFlag('read everything kept, looking for rotten bytes, within this time (default: 14 days)'),
  };

  protected override readonly goesOn = true;

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkRun);
    const { flags } = parsed;
    const name = this.nameOf(parsed);
    const options = await this.runOptions(name, flags);
    const { runNetwork } = await this.running();
    await runNetwork({
      ...options,
      rebalancingAutoExpand: flags['paxos-rebalancing-auto-expand'],
      rebalancingInspect: flags['paxos-rebalancing-inspect'],
      resignOnShutdown: flags['resign-on-shutdown'],
      force: this.invocation.forceRequested(),
      ...(flags['background-rate'] === undefined ? {} : { backgroundRate: flags['background-rate'] }),
      ...(flags['scrub-period'] === undefined ? {} : { scrubPeriodMs: flags['scrub-period'] }),
      ...(this.script && options.daemon === undefined ? { script: this.requests(flags.input) } : {}),
      ready: () => this.say(`Running network "${options.name}".`),
    });
  }
}
