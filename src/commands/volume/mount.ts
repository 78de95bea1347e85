// infinit volume mount

import { VolumeCommand, volumeRunArgs, volumeRunFlags } from '../../core/cli/volume-command.ts';

export default class VolumeMount extends VolumeCommand {
  static override summary = 'Mount a volume, until stopped';
  static override description =
    'Options replace, for this time, those kept with the volume. The device keeps its part of the network meanwhile, ' +
    'unless `network run` does.';
  static override examples = [
    { description: 'Until stopped', command: 'infinit volume mount shared --mountpoint /mnt/shared' },
    { description: 'In the background', command: 'infinit volume mount shared -m /mnt/shared --daemon' },
  ];
  static override args = volumeRunArgs;
  static override flags = volumeRunFlags;

  async run(): Promise<void> {
    const parsed = await this.parse(VolumeMount);
    const options = await this.volumeOptions(this.nameOf(parsed), parsed.flags, { mustMount: true });
    const { runVolume } = await this.running();
    await runVolume(options);
  }
}
