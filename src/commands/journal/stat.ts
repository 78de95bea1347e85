// infinit journal stat

import { BaseCommand } from '../../core/cli/base-command.ts';
import { networkFlag } from '../../core/cli/flags.ts';
import { journalStatLine } from '../../core/cli/texts.ts';

export default class JournalStat extends BaseCommand {
  static override summary = 'Say how much waits on this device to be sent to networks';
  static override examples = [
    { description: 'All networks', command: 'infinit journal stat' },
    { description: 'One of them', command: 'infinit journal stat --network cluster' },
  ];
  static override flags = networkFlag;

  async run(): Promise<void> {
    const { flags } = await this.parse(JournalStat);
    const acting = await this.acting();
    const { journalStat } = await this.running();
    const stats = await journalStat({ ...acting, network: flags.network });
    this.render(stats, stats.map(journalStatLine));
  }
}
