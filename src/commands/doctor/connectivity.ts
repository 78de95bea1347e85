// infinit doctor connectivity

import { connectivityFlags, DoctorCommand, doctorFlags } from '../../core/cli/doctor-command.ts';

export default class DoctorConnectivity extends DoctorCommand {
  static override summary = 'Examine what this machine reaches: other nodes, the hub; and whether it is reached';
  static override examples = [
    { description: 'Can my nodes meet?', command: 'infinit doctor connectivity' },
    {
      description: 'Can others connect to this machine? (there: infinit doctor networking)',
      command: 'infinit doctor connectivity --server desk',
    },
  ];
  static override flags = { ...doctorFlags, ...connectivityFlags };

  async run(): Promise<void> {
    const { flags } = await this.parse(DoctorConnectivity);
    await this.examine(['connectivity'], flags);
  }
}
