// infinit volume start

import { VolumeCommand, volumeRunArgs, volumeRunFlags } from '../../core/cli/volume-command.ts';

export default class VolumeStart extends VolumeCommand {
  static override summary = 'Mount a volume in the background, as its options say';
  static override description =
    'When the daemon runs it keeps the volume mounted, now and over its later starts, until `volume stop`.';
  static override examples = [
    { description: 'Where it always is', command: 'infinit volume start shared' },
    { description: 'Stop it again', command: 'infinit volume stop shared' },
  ];
  static override args = volumeRunArgs;
  static override flags = volumeRunFlags;

  async run(): Promise<void> {
    const parsed = await this.parse(VolumeStart);
    const how = { mustMount: true, daemon: true };
    const options = await this.volumeOptions(this.nameOf(parsed), parsed.flags, how);
    const { startVolume } = await this.supervising();
    await startVolume(options);
  }
}
