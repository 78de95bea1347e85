// What the commands that make silos in drives and buckets of an account share.

import { Flags } from '@oclif/core';
import type { CreateDriveSiloOptions } from '../descriptor/silos.ts';
import { BaseCommand } from './base-command.ts';
import { capacityFlag, copyFlag, descriptionFlag, nameArg, nameFlag } from './flags.ts';
import { pretty, saved } from './texts.ts';

export const driveArgs = nameArg('silo');

/** `service`: the option of `credentials add`. */
export function driveFlags(service: string) {
  return {
    ...nameFlag('silo'),
    ...descriptionFlag,
    ...capacityFlag,
    account: Flags.string({
      description: `credentials to use: infinit credentials add NAME --${service}`,
      helpValue: 'NAME',
      required: true,
    }),
    path: Flags.string({ description: 'folder there (default: NAME_blocks)', helpValue: 'PATH' }),
    ...copyFlag,
  };
}

export interface DriveFlagValues {
  description?: string | undefined;
  capacity?: number | undefined;
  account: string;
  bucket?: string;
  path?: string | undefined;
  output?: string | undefined;
}

export abstract class DriveCommand extends BaseCommand {
  protected async createDrive(
    type: CreateDriveSiloOptions['type'],
    name: string,
    { path, output, ...flags }: DriveFlagValues,
  ): Promise<void> {
    const core = await this.core();
    const { createDriveSilo } = await import('../descriptor/silos.ts');
    const silo = await createDriveSilo(core, { ...flags, name, type, root: path ?? `${name}_blocks` });
    await this.present(silo, saved('silo', name), output, pretty('silo', name));
  }
}
