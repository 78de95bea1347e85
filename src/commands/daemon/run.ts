// infinit daemon run

import { DaemonCommand, daemonFlags } from '../../core/cli/daemon-command.ts';

export default class DaemonRun extends DaemonCommand {
  static override summary = 'Keep nodes and mounts running, until stopped';
  static override description =
    'Each is a process of its own and is started again when it ends; they go on when the daemon fails, and the next one takes them ' +
    'up. What `volume start` starts meanwhile is kept too, until `volume stop`, also over later starts of the daemon.';
  static override examples = [
    { description: 'Until stopped', command: 'infinit daemon run --mount shared' },
    {
      description: 'A node and all mounts below one folder',
      command: 'infinit daemon run --network cluster --mount shared --mount photos --mount-root ~/infinit',
    },
  ];
  static override flags = daemonFlags;

  async run(): Promise<void> {
    const { flags } = await this.parse(DaemonRun);
    const options = await this.daemonOptions(flags, 'here');
    const { runDaemon } = await this.supervising();
    await runDaemon({ ...options, ready: (facts) => this.render(facts, 'Running daemon.') });
  }
}
