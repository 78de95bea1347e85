// infinit doctor configuration

import { DoctorCommand, doctorFlags } from '../../core/cli/doctor-command.ts';

export default class DoctorConfiguration extends DoctorCommand {
  static override summary = 'Examine what this home knows: user, silos, networks, volumes';
  static override examples = [
    { description: 'Do networks and volumes fit together?', command: 'infinit doctor configuration' },
  ];
  static override flags = doctorFlags;

  async run(): Promise<void> {
    const { flags } = await this.parse(DoctorConfiguration);
    await this.examine(['configuration'], flags);
  }
}
