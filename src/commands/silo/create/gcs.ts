// infinit silo create gcs

import { Flags } from '@oclif/core';
import { DriveCommand, driveArgs, driveFlags } from '../../../core/cli/drive-command.ts';

export default class SiloCreateGcs extends DriveCommand {
  static override summary = 'Create a silo in a bucket of Google Cloud Storage';
  static override examples = [
    {
      description: 'With an account that was added',
      command: 'infinit silo create gcs cloud --account work --bucket my-bucket',
    },
  ];
  static override args = driveArgs;
  static override flags = {
    ...driveFlags('gcs'),
    bucket: Flags.string({ description: 'bucket, which must exist', helpValue: 'BUCKET', required: true }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(SiloCreateGcs);
    await this.createDrive('gcs', this.nameOf(parsed), parsed.flags);
  }
}
