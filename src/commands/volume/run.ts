// infinit volume run

import { inputFlag } from '../../core/cli/flags.ts';
import { VolumeCommand, volumeRunArgs, volumeRunFlags } from '../../core/cli/volume-command.ts';

export default class VolumeRun extends VolumeCommand {
  static override summary = 'Keep a volume open, mounted when it has a mountpoint';
  static override description =
    'With --script, one JSON operation a line is read, such as {"operation":"mkdir","path":"/d"}, and one JSON answer a ' +
    'line is written; no mount is needed for that.';
  static override examples = [
    { description: 'Until stopped', command: 'infinit volume run shared' },
    { description: 'Without a mount, by a script', command: 'infinit volume run shared --script < operations.jsonl' },
  ];
  static override args = volumeRunArgs;
  static override flags = { ...volumeRunFlags, ...inputFlag };

  async run(): Promise<void> {
    const parsed = await this.parse(VolumeRun);
    const { flags } = parsed;
    const options = await this.volumeOptions(this.nameOf(parsed), flags, { mustMount: false });
    const { runVolume } = await this.running();
    if (!this.script || options.daemon !== undefined) await runVolume(options);
    else await runVolume({ ...options, script: this.requests(flags.input), ready: () => {} });
  }
}
