// infinit daemon manage-volumes

import { Flags } from '@oclif/core';
import { InfinitError } from '../../core/base/errors.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import type { Paint } from '../../core/cli/paint.ts';
import { type ManagedVolume, volumeActions } from '../../core/cli/supervising.ts';

/** One of them is given. */
const action = (description: string, name: string) =>
  Flags.boolean({ description, exclusive: volumeActions.filter((other) => other !== name) });

export default class DaemonManageVolumes extends BaseCommand {
  static override summary = 'List, start and stop the volumes the daemon keeps mounted';
  static override examples = [
    { description: 'All, with their state', command: 'infinit daemon manage-volumes --list' },
    {
      description: 'Mount one, now and whenever the daemon runs',
      command: 'infinit daemon manage-volumes --start shared',
    },
  ];
  static override args = nameArg('volume');
  static override flags = {
    ...nameFlag('volume'),
    list: action('list volumes known here (default)', 'list'),
    status: action('tell how a volume is', 'status'),
    start: action('mount a volume, and keep it mounted', 'start'),
    stop: action('unmount a volume for good', 'stop'),
    restart: action('unmount a volume and mount it again', 'restart'),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(DaemonManageVolumes);
    const { flags } = parsed;
    const wanted = volumeActions.find((one) => flags[one]) ?? 'list';
    const given = parsed.args.name ?? flags.name;
    if (wanted === 'list' && given !== undefined) throw new InfinitError('usage', `unexpected argument: ${given}`);
    const acting = await this.acting();
    const named = wanted === 'list' ? {} : { name: this.nameOf(parsed) };
    const { manageVolumes } = await this.supervising();
    const volumes = await manageVolumes({ ...acting, action: wanted, ...named });
    const value = wanted === 'list' ? volumes : volumes[0];
    this.render(
      value,
      volumes.map((volume) => volumeLine(volume, this.paint)),
    );
  }
}

/** `alice/shared: running on /mnt/shared`, and what hinders it. */
function volumeLine({ name, status, mountpoint, unit }: ManagedVolume, paint: Paint): string {
  const on = mountpoint ? ` on ${mountpoint}` : '';
  const kept = unit === undefined && status === 'running' ? ', not kept by the daemon' : '';
  const line = `${paint.bold(name)}: ${coloured(unit?.state ?? status, paint)}${on}${kept}`;
  const again = unit?.retry_ms === undefined ? '' : `, again in ${Math.ceil(unit.retry_ms / 1000)} s`;
  return unit?.last_error === undefined ? line : `${line}${again}: ${paint.yellow(unit.last_error)}`;
}

function coloured(state: string, paint: Paint): string {
  if (state === 'running') return paint.green(state);
  return state === 'waiting' ? paint.red(state) : state;
}
