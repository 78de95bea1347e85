// What filters share: their backends by number.

import { InfinitError } from '../../base/errors.ts';
import type { Silo, SiloConfig, SiloSurroundings } from '../silo.ts';

/** The one silo a filter wraps. Throws `usage` when the descriptor names none or several. */
export function oneBackend(config: SiloConfig): SiloConfig {
  const [backend, ...others] = config.backend ?? [];
  if (backend !== undefined && others.length === 0) return backend;
  throw new InfinitError('usage', `a ${config.type} silo wraps one silo, not ${config.backend?.length ?? 0}`);
}

/** All of them, or none: what was opened before one failed is closed again. */
export async function openAll(
  configs: readonly SiloConfig[],
  open: (config: SiloConfig) => Promise<Silo>,
): Promise<Silo[]> {
  const opened: Silo[] = [];
  try {
    for (const config of configs) opened.push(await open(config));
    return opened;
  } catch (error) {
    for (const silo of opened) await silo.close();
    throw error;
  }
}

export async function clearBackends(config: SiloConfig, around: SiloSurroundings): Promise<void> {
  for (const backend of config.backend ?? []) await around.clear(backend);
}
