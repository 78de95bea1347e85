// infinit doctor all

import { connectivityFlags, DoctorCommand, doctorFlags } from '../../core/cli/doctor-command.ts';
import { findingGroups } from '../../core/cli/running-doctor.ts';

export default class DoctorAll extends DoctorCommand {
  static override summary = 'Examine everything: what this home knows, the machine, whom it reaches, the copies kept';
  static override examples = [{ description: 'Is all well?', command: 'infinit doctor all' }];
  static override flags = { ...doctorFlags, ...connectivityFlags };

  async run(): Promise<void> {
    const { flags } = await this.parse(DoctorAll);
    await this.examine(findingGroups, flags);
  }
}
