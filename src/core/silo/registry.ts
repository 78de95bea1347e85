// The kinds of silo there are. A new kind is one file and one line here.

import { InfinitError } from '../base/errors.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { filesystemKind } from './filesystem/filesystem.ts';
import { memoryKind } from './memory.ts';
import type { Silo, SiloConfig, SiloKind } from './silo.ts';

export const siloKinds: readonly SiloKind[] = [filesystemKind, memoryKind];

/** Throws `unsupported` for a kind this version does not know. */
export function siloKind(name: string): SiloKind {
  const kind = siloKinds.find((candidate) => candidate.name === name);
  if (kind !== undefined) return kind;
  const known = siloKinds.map((candidate) => candidate.name).join(', ');
  throw new InfinitError('unsupported', `silos of type "${name}" are not supported`, {
    hint: `the types are ${known}`,
  });
}

export async function openSilo(config: SiloConfig, runtime: Runtime): Promise<Silo> {
  return siloKind(config.type).open(config, runtime);
}

export async function clearSilo(config: SiloConfig, runtime: Runtime): Promise<void> {
  return siloKind(config.type).clear(config, runtime);
}
