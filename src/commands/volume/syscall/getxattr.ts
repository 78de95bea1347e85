// infinit volume syscall getxattr

import { resolve } from 'node:path';
import { Args } from '@oclif/core';
import { BaseCommand } from '../../../core/cli/base-command.ts';

export default class VolumeSyscallGetxattr extends BaseCommand {
  static override summary = 'Print an extended attribute of a file on a mounted volume';
  static override examples = [
    { description: 'Print', command: 'infinit volume syscall getxattr /mnt/shared/file user.origin' },
  ];
  static override args = {
    path: Args.string({ description: 'the file', required: true }),
    name: Args.string({ description: 'the attribute', required: true }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(VolumeSyscallGetxattr);
    const path = resolve(this.invocation.workingDirectory, args.path);
    const acting = await this.acting();
    const { volumeAttribute } = await this.running();
    const value = await volumeAttribute({ ...acting, path, attribute: args.name });
    this.render({ path, name: args.name, value }, value);
  }
}
