// The kinds of silo there are. A new kind is one file and one line here.

import { InfinitError } from '../base/errors.ts';
import type { Service } from '../descriptor/services.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { filesystemKind } from './filesystem/filesystem.ts';
import { cryptKind } from './filters/crypt.ts';
import { faultyKind } from './filters/faulty.ts';
import { latencyKind } from './filters/latency.ts';
import { mirrorKind } from './filters/mirror/mirror.ts';
import { stripKind } from './filters/strip.ts';
import { memoryKind } from './memory.ts';
import { dropboxKind } from './objects/dropbox/dropbox.ts';
import { gcsKind } from './objects/google/gcs.ts';
import { googleDriveKind } from './objects/google/google-drive.ts';
import { s3Kind } from './objects/s3/s3.ts';
import { sftpKind } from './objects/sftp/sftp.ts';
import type { Silo, SiloConfig, SiloHome, SiloKind, SiloSurroundings } from './silo.ts';

export const siloKinds: readonly SiloKind[] = [
  filesystemKind,
  memoryKind,
  s3Kind,
  sftpKind,
  gcsKind,
  dropboxKind,
  googleDriveKind,
  cryptKind,
  mirrorKind,
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
export async function openSilo(config: SiloConfig, runtime: Runtime, home: SiloHome = {}): Promise<Silo> {
  return siloKind(config.type).open(config, surroundings(runtime, home, 0));
}

/** With everything it wraps. */
export async function clearSilo(config: SiloConfig, runtime: Runtime, home: SiloHome = {}): Promise<void> {
  return siloKind(config.type).clear(config, surroundings(runtime, home, 0));
}

function surroundings(runtime: Runtime, home: SiloHome, addedBytes: number): SiloSurroundings {
  return {
    runtime,
    secrets: home.secrets ?? noSecrets,
    folder: home.folder,
    addedBytes,
    open: (config, options = {}) =>
      siloKind(config.type).open(config, surroundings(runtime, home, addedBytes + (options.addedBytes ?? 0))),
    clear: (config) => siloKind(config.type).clear(config, surroundings(runtime, home, addedBytes)),
  };
}

async function noSecrets(service: Service, account: string): Promise<never> {
  throw new InfinitError('not-found', `there are no ${service} credentials "${account}" here`);
}
