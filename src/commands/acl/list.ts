// infinit acl list

import { lstat, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { accessLines, accessOfPath, type PathAccess, pathFlag, walkFlags } from '../../core/cli/access.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';

export default class AclList extends BaseCommand {
  static override summary = 'Show who may read and write files of a mounted volume';
  static override examples = [
    { description: 'Of a volume', command: 'infinit acl list --path /mnt/shared' },
    { description: 'Of all that is in a directory', command: 'infinit acl list --path /mnt/shared/plans --recursive' },
  ];
  static override flags = { ...pathFlag, ...walkFlags };

  async run(): Promise<void> {
    const { flags } = await this.parse(AclList);
    const { workingDirectory } = this.invocation;
    const calls = { acting: await this.acting(), running: await this.running(), workingDirectory };
    const shown: PathAccess[] = [];
    const show = async (path: string): Promise<void> => {
      const isDirectory = await lstat(resolve(workingDirectory, path)).then(
        (found) => found.isDirectory(),
        () => false,
      );
      const found = await accessOfPath(calls, path, isDirectory);
      if (found.error !== undefined) this.code = 1;
      shown.push(found);
      this.say(...accessLines(found));
      if (!flags.recursive || !isDirectory) return;
      for (const name of (await readdir(resolve(workingDirectory, path))).sort()) await show(join(path, name));
    };
    for (const path of flags.path) await show(path);
    if (this.script) this.printJson(shown);
  }
}
