// infinit drive create

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { copyFlag, descriptionFlag, nameArg, nameFlag, pushFlag, requiredNetworkFlag } from '../../core/cli/flags.ts';
import { readPicture } from '../../core/cli/picture.ts';
import { pretty, saved } from '../../core/cli/texts.ts';

export default class DriveCreate extends BaseCommand {
  static override summary = 'Create a drive: a volume with its network, for people to be invited to and join';
  static override examples = [
    {
      description: 'On the hub as well',
      command: 'infinit drive create family --network cluster --volume shared --push',
    },
  ];
  static override args = nameArg('drive');
  static override flags = {
    ...nameFlag('drive'),
    ...requiredNetworkFlag,
    volume: Flags.string({ char: 'V', description: 'name of the volume', helpValue: 'VOLUME', required: true }),
    ...descriptionFlag,
    icon: Flags.string({ char: 'i', description: 'picture: png, jpeg, gif or webp', helpValue: 'FILE' }),
    ...copyFlag,
    ...pushFlag('drive'),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(DriveCreate);
    const { network, volume, description, icon, output, push } = parsed.flags;
    if (push) this.hubAddress();
    const name = this.nameOf(parsed);
    const picture = icon === undefined ? undefined : await readPicture(this.invocation, icon);
    const core = await this.core();
    const [{ createDrive }, { keepIcon }] = await Promise.all([
      import('../../core/descriptor/drives.ts'),
      import('../../core/descriptor/icons.ts'),
    ]);
    const drive = await createDrive(core, { as: this.user, name, network, volume, description });
    if (picture !== undefined) await keepIcon(core, drive.name, picture.content);
    await this.present(drive, saved('drive', drive.name), output, pretty('drive', drive.name));
    if (push) await this.pushToHub('drive', drive.name);
  }
}
