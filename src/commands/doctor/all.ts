// infinit doctor all

import { DoctorCommand, doctorFlags } from '../../core/cli/doctor-command.ts';
import { findingGroups } from '../../core/cli/running.ts';

export default class DoctorAll extends DoctorCommand {
  static override summary = 'Examine everything: what this home knows, the machine, the copies kept';
  static override examples = [{ description: 'Is all well?', command: 'infinit doctor all' }];
  static override flags = doctorFlags;

  async run(): Promise<void> {
    const { flags } = await this.parse(DoctorAll);
    await this.examine(findingGroups, flags);
  }
}
