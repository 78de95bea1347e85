// infinit network inspect

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, outputFlag } from '../../core/cli/flags.ts';
import { outline, pick } from '../../core/cli/outline.ts';

export default class NetworkInspect extends BaseCommand {
  static override summary = 'Ask the running network process how it is';
  static override examples = [
    { description: 'Everything, for people', command: 'infinit network inspect cluster --all' },
    { description: 'Peers, as JSON', command: 'infinit network inspect cluster --peers --script' },
  ];
  static override args = nameArg('network');
  static override flags = {
    ...nameFlag('network'),
    ...outputFlag,
    status: Flags.boolean({ description: 'whether it runs (default)' }),
    peers: Flags.boolean({ description: 'connected and remembered peers' }),
    redundancy: Flags.boolean({ description: 'copies wanted and had' }),
    all: Flags.boolean({ description: 'everything' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkInspect);
    const { flags } = parsed;
    const name = this.nameOf(parsed);
    const asked = (['status', 'peers', 'redundancy'] as const).filter((what) => flags[what]);
    const acting = await this.acting();
    const { inspectNetwork } = await this.running();
    const what = flags.all || asked.length > 1 ? 'all' : (asked[0] ?? 'status');
    const facts = await inspectNetwork({ ...acting, name, what });
    const value = asked.length > 1 && !flags.all ? pick(facts, asked) : facts;
    await this.present(value, outline(value), flags.output, `status of network "${name}"`);
  }
}
