// infinit daemon status

import { BaseCommand } from '../../core/cli/base-command.ts';

export default class DaemonStatusCommand extends BaseCommand {
  static override summary = 'Tell whether the daemon runs';
  static override examples = [
    { description: 'Running or Stopped', command: 'infinit daemon status' },
    { description: 'With all it keeps', command: 'infinit daemon status --script' },
  ];

  async run(): Promise<void> {
    await this.parse(DaemonStatusCommand);
    const acting = await this.acting();
    const { daemonStatus } = await this.supervising();
    const status = await daemonStatus(acting);
    this.render(status, status.status);
  }
}
