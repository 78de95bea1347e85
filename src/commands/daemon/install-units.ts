// infinit daemon install-units

import { join } from 'node:path';
import { Flags } from '@oclif/core';
import { DaemonCommand, daemonFlags } from '../../core/cli/daemon-command.ts';
import { homeVariables } from '../../core/cli/home.ts';

const systemFolder = '/etc/systemd/system';

export default class DaemonInstallUnits extends DaemonCommand {
  static override summary = 'Have systemd start the daemon: at boot for root, else at login';
  static override description = 'The other options are those of `daemon run`, for the daemon that systemd starts.';
  static override examples = [
    { description: 'With a volume', command: 'infinit daemon install-units --mount shared' },
    { description: 'Only look at them', command: 'infinit daemon install-units --folder .' },
  ];
  static override flags = {
    ...daemonFlags,
    'user-unit': Flags.boolean({ description: 'started at login, for root too' }),
    folder: Flags.string({
      description: 'where to write them (default: where systemd looks)',
      helpValue: 'DIRECTORY',
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(DaemonInstallUnits);
    const { env, homeDirectory, isRoot } = this.invocation;
    const isSystem = isRoot && !flags['user-unit'];
    const userFolder = join(env.XDG_CONFIG_HOME || join(homeDirectory, '.config'), 'systemd/user');
    const folder = this.pathOf(flags.folder);
    const acting = await this.acting();
    const { installUnits } = await this.supervising();
    const units = await installUnits({
      ...acting,
      isSystem,
      folder: folder ?? (isSystem ? systemFolder : userFolder),
      words: this.daemonWords(flags),
      variables: homeVariables(this.invocation, this.user),
    });
    const control = `systemctl ${isSystem ? '' : '--user '}`;
    this.render(
      units.map(({ path }) => ({ path })),
      [
        ...units.map(({ path }) => `Wrote ${path}.`),
        `Start it: ${control}daemon-reload && ${control}enable --now infinit-daemon`,
        ...(isSystem ? [] : ['At boot, without a login: loginctl enable-linger']),
      ],
    );
  }
}
