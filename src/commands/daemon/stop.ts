// infinit daemon stop

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';

export default class DaemonStop extends BaseCommand {
  static override summary = 'Stop the daemon, and what it keeps running';
  static override description =
    'Volumes are unmounted. Those whose files are still in use after half a minute go out of sight, and end when their files are closed.';
  static override examples = [
    { description: 'Stop everything', command: 'infinit daemon stop' },
    { description: 'Exchange the daemon, and leave mounts as they are', command: 'infinit daemon stop --keep' },
  ];
  static override flags = {
    keep: Flags.boolean({ description: 'leave everything running; the next daemon takes it up' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(DaemonStop);
    const acting = await this.acting();
    const { stopDaemon } = await this.supervising();
    const stopped = await stopDaemon({ ...acting, keep: flags.keep });
    for (const unit of stopped.in_use) this.warn(`${unit} is in use: it ends when its files are closed`);
    this.render(stopped, 'daemon stopped');
  }
}
