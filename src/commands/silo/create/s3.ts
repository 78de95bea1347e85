// infinit silo create s3

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../../core/cli/base-command.ts';
import { capacityFlag, copyFlag, descriptionFlag, nameArg, nameFlag } from '../../../core/cli/flags.ts';
import { pretty, saved } from '../../../core/cli/texts.ts';
import { s3StorageClasses } from '../../../core/descriptor/descriptor.ts';

export default class SiloCreateS3 extends BaseCommand {
  static override summary = 'Create a silo in a bucket of Amazon S3 or any S3-compatible server';
  static override description =
    'Records are packed into objects of some megabytes; a change is durable when its object is stored, which takes as long as ' +
    'one request. A node that also serves registers and journals is faster with a small filesystem silo given before this one.';
  static override examples = [
    {
      description: 'At Amazon',
      command: 'infinit silo create s3 cloud --account work --bucket my-bucket --region eu-west-1',
    },
    {
      description: 'On a server of your own',
      command: 'infinit silo create s3 cloud --account minio --bucket data --endpoint http://10.0.0.5:9000',
    },
  ];
  static override args = nameArg('silo');
  static override flags = {
    ...nameFlag('silo'),
    ...descriptionFlag,
    ...capacityFlag,
    account: Flags.string({
      description: 'credentials to use: infinit credentials add NAME --aws',
      helpValue: 'NAME',
      required: true,
    }),
    bucket: Flags.string({ description: 'bucket, which must exist', helpValue: 'BUCKET', required: true }),
    region: Flags.string({ description: 'region of the bucket', helpValue: 'REGION', default: 'us-east-1' }),
    endpoint: Flags.string({
      description: 'S3-compatible server; TLS unless it begins with http://',
      helpValue: 'HOST[:PORT]',
      default: 'amazonaws.com',
    }),
    'silo-class': Flags.option({ description: 'storage class of objects', options: s3StorageClasses })(),
    path: Flags.string({ description: 'folder in the bucket (default: NAME_blocks)', helpValue: 'PATH' }),
    'virtual-host': Flags.boolean({
      description: 'the bucket has a host name of its own, as at Amazon',
      allowNo: true,
    }),
    ...copyFlag,
  };

  async run(): Promise<void> {
    const parsed = await this.parse(SiloCreateS3);
    const { flags } = parsed;
    const name = this.nameOf(parsed);
    const core = await this.core();
    const { createS3Silo } = await import('../../../core/descriptor/silos.ts');
    const silo = await createS3Silo(core, {
      ...flags,
      name,
      folder: flags.path ?? `${name}_blocks`,
      virtualHost: flags['virtual-host'],
      storageClass: flags['silo-class'],
    });
    await this.present(silo, saved('silo', name), flags.output, pretty('silo', name));
  }
}
