// infinit silo delete

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { removedJson, removedLines } from '../../core/cli/texts.ts';
import type { SiloDescriptor } from '../../core/descriptor/descriptor.ts';

export default class SiloDelete extends BaseCommand {
  static override summary = 'Delete a silo; what it keeps stays on the disk unless --clear-content';
  static override examples = [
    { description: 'Forget a silo', command: 'infinit silo delete local' },
    {
      description: 'Erase it and unlink the networks that use it',
      command: 'infinit silo delete local --clear-content --purge',
    },
  ];
  static override args = nameArg('silo');
  static override flags = {
    ...nameFlag('silo'),
    'clear-content': Flags.boolean({ description: 'erase the blocks it keeps' }),
    purge: Flags.boolean({ description: 'unlink every network that uses it' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(SiloDelete);
    const { purge, 'clear-content': clearContent } = parsed.flags;
    const name = this.nameOf(parsed);
    const core = await this.core();
    const [{ deleteSilo }, { clearSilo }, { siloHome }] = await Promise.all([
      import('../../core/descriptor/silos.ts'),
      import('../../core/silo/registry.ts'),
      import('../../core/descriptor/credentials.ts'),
    ]);
    const clear = (silo: SiloDescriptor) => clearSilo(silo, core.runtime, siloHome(core, this.user));
    const { removed, stillUsedBy } = await deleteSilo(core, name, {
      purge,
      ...(clearContent && { clearContent: clear }),
    });
    for (const network of stillUsedBy) this.warn(`silo "${name}" is still used by network "${network}"`);
    this.render(removedJson(removed), removedLines(removed));
  }
}
