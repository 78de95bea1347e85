// The kinds of silo there are. A new kind is one file and one line here.

import { InfinitError } from '../base/errors.ts';
import type { Service } from '../descriptor/services.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { filesystemKind } from './filesystem/filesystem.ts';
import { cryptKind } from './filters/crypt.ts';
import { faultyKind } from './filters/faulty.ts';
import { latencyKind } from './filters/latency.ts';
import { stripKind } from './filters/strip.ts';
import { memoryKind } from './memory.ts';
import type { Secrets, Silo, SiloConfig, SiloKind, SiloSurroundings } from './silo.ts';

export const siloKinds: readonly SiloKind[] = [
  filesystemKind,
  memoryKind,
  cryptKind,
  stripKind,
  latencyKind,
  faultyKind,
];

/** Throws `unsupported` for a kind this version does not know. */
export function siloKind(name: string): SiloKind {
  const kind = siloKinds.find((candidate) => candidate.name === name);
  if (kind !== undefined) return kind;
  const known = siloKinds.map((candidate) => candidate.name).join(', ');
  throw new InfinitError('unsupported', `silos of type "${name}" are not supported`, {
    hint: `the types are ${known}`,
  });
}

/** With everything it wraps. */
export async function openSilo(config: SiloConfig, runtime: Runtime, secrets: Secrets = noSecrets): Promise<Silo> {
  return siloKind(config.type).open(config, surroundings(runtime, secrets, 0));
}

/** With everything it wraps. */
export async function clearSilo(config: SiloConfig, runtime: Runtime, secrets: Secrets = noSecrets): Promise<void> {
  return siloKind(config.type).clear(config, surroundings(runtime, secrets, 0));
}

function surroundings(runtime: Runtime, secrets: Secrets, addedBytes: number): SiloSurroundings {
  return {
    runtime,
    secrets,
    addedBytes,
    open: (config, options = {}) =>
      siloKind(config.type).open(config, surroundings(runtime, secrets, addedBytes + (options.addedBytes ?? 0))),
    clear: (config) => siloKind(config.type).clear(config, surroundings(runtime, secrets, addedBytes)),
  };
}

async function noSecrets(service: Service, account: string): Promise<never> {
  throw new InfinitError('not-found', `there are no ${service} credentials "${account}" here`);
}
