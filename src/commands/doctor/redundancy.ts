// infinit doctor redundancy

import { DoctorCommand, doctorFlags } from '../../core/cli/doctor-command.ts';

export default class DoctorRedundancy extends DoctorCommand {
  static override summary = 'Examine whether everything kept has as many copies as it should';
  static override examples = [{ description: 'Are there enough copies?', command: 'infinit doctor redundancy' }];
  static override flags = doctorFlags;

  async run(): Promise<void> {
    const { flags } = await this.parse(DoctorRedundancy);
    await this.examine(['redundancy'], flags);
  }
}
