// infinit volume syscall setxattr

import { resolve } from 'node:path';
import { Args } from '@oclif/core';
import { BaseCommand } from '../../../core/cli/base-command.ts';

export default class VolumeSyscallSetxattr extends BaseCommand {
  static override summary = 'Set an extended attribute of a file on a mounted volume';
  static override examples = [
    { description: 'Set', command: 'infinit volume syscall setxattr /mnt/shared/file user.origin camera' },
  ];
  static override args = {
    path: Args.string({ description: 'the file', required: true }),
    name: Args.string({ description: 'the attribute', required: true }),
    value: Args.string({ description: 'its value', required: true }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(VolumeSyscallSetxattr);
    const path = resolve(this.invocation.workingDirectory, args.path);
    const acting = await this.acting();
    const { volumeAttribute } = await this.running();
    const value = await volumeAttribute({ ...acting, path, attribute: args.name, value: args.value });
    this.render({ path, name: args.name, value }, `Set attribute "${args.name}" of "${path}".`);
  }
}
