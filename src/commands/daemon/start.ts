// infinit daemon start

import { DaemonCommand, daemonFlags } from '../../core/cli/daemon-command.ts';

export default class DaemonStart extends DaemonCommand {
  static override summary = 'Keep nodes and mounts running, in the background';
  static override description = 'As `daemon run`; returns once the daemon serves.';
  static override examples = [
    { description: 'With what it kept before', command: 'infinit daemon start' },
    { description: 'With a volume', command: 'infinit daemon start --mount shared' },
  ];
  static override flags = daemonFlags;

  async run(): Promise<void> {
    const { flags } = await this.parse(DaemonStart);
    const options = await this.daemonOptions(flags, 'background');
    const { runDaemon } = await this.supervising();
    await runDaemon({ ...options, ready: (facts) => this.render(facts, 'daemon started') });
  }
}
