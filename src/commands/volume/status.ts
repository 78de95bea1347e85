// infinit volume status

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { outline } from '../../core/cli/outline.ts';

export default class VolumeStatus extends BaseCommand {
  static override summary = 'Tell whether a volume runs on this device, and how it is';
  static override examples = [
    { description: 'For people', command: 'infinit volume status shared' },
    { description: 'As JSON', command: 'infinit volume status shared --script' },
  ];
  static override args = nameArg('volume');
  static override flags = nameFlag('volume');

  async run(): Promise<void> {
    const name = this.nameOf(await this.parse(VolumeStatus));
    const acting = await this.acting();
    const { volumeStatus } = await this.supervising();
    const status = await volumeStatus({ ...acting, name });
    const { name: qualified, status: how, ...facts } = status;
    this.render(status, [`${this.paint.bold(qualified)}: ${how}`, ...outline(facts, '  ')]);
  }
}
