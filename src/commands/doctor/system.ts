// infinit doctor system

import { DoctorCommand, doctorFlags } from '../../core/cli/doctor-command.ts';

export default class DoctorSystem extends DoctorCommand {
  static override summary = 'Examine this machine: space, permissions, FUSE';
  static override examples = [{ description: 'Can volumes be mounted here?', command: 'infinit doctor system' }];
  static override flags = doctorFlags;

  async run(): Promise<void> {
    const { flags } = await this.parse(DoctorSystem);
    await this.examine(['system'], flags);
  }
}
