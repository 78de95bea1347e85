// What the commands that make filters share: the silos they wrap and how they answer.

import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { SiloConfigJson, SiloDescriptor } from '../descriptor/descriptor.ts';
import { BaseCommand } from './base-command.ts';
import { copyFlag, descriptionFlag, nameArg, nameFlag, siloFlag } from './flags.ts';
import { pretty, saved } from './texts.ts';

export const filterArgs = nameArg('silo');
export const filterFlags = { ...nameFlag('silo'), ...descriptionFlag, ...siloFlag, ...copyFlag };

export interface FilterOptions {
  name: string;
  description?: string | undefined;
  silo?: string[] | undefined;
  output?: string | undefined;
}

/** Filters over more than one silo. */
const several: Readonly<Record<string, { least: number; most: number }>> = {
  mirror: { least: 2, most: limits.siloBackendsMax },
  strip: { least: 1, most: limits.siloBackendsMax },
};

export abstract class FilterCommand extends BaseCommand {
  /** Makes the silo and says so. */
  protected async createFilter(
    type: string,
    options: FilterOptions,
    fields: Omit<SiloConfigJson, 'type' | 'backend'> = {},
  ): Promise<void> {
    const { name, description } = options;
    const { least = 1, most = 1 } = several[type] ?? {};
    const silos = wrapped(type, options.silo, most, least);
    const core = await this.core();
    const { createFilterSilo } = await import('../descriptor/silos.ts');
    await this.answer(await createFilterSilo(core, { name, description, type, silos, fields }), options.output);
  }

  protected async answer(silo: SiloDescriptor, output: string | undefined): Promise<void> {
    await this.present(silo, saved('silo', silo.name), output, pretty('silo', silo.name));
  }
}

/** Names of silos to wrap, so many. */
export function wrapped(type: string, silos: readonly string[] = [], most = 1, least = 1): readonly string[] {
  if (silos.length === 0)
    throw new InfinitError('usage', 'missing option: --silo', { hint: 'name the silo to wrap: --silo NAME' });
  if (silos.length > most) throw new InfinitError('usage', `a ${type} silo wraps at most ${most}, not ${silos.length}`);
  if (silos.length < least)
    throw new InfinitError('usage', `a ${type} silo wraps at least ${least}, not ${silos.length}`);
  return silos;
}
