// The little of a runtime that silos need, real, for their tests; log lines are kept for looking at.

import { randomBytes, randomInt } from 'node:crypto';
import type { Runtime } from '../../../src/core/runtime/runtime.ts';
import { systemClock } from '../../../src/core/runtime/system/clock.ts';
import { systemFiles } from '../../../src/core/runtime/system/files.ts';

export interface SiloRuntime extends Runtime {
  readonly lines: string[];
}

export function siloRuntime(): SiloRuntime {
  const unused = new Proxy({}, { get: (_, name) => assertUnused(String(name)) });
  const lines: string[] = [];
  return {
    clock: systemClock(),
    random: { bytes: (count) => randomBytes(count), below: (limit) => randomInt(limit), fraction: () => Math.random() },
    files: systemFiles(),
    transport: unused as Runtime['transport'],
    datagrams: unused as Runtime['datagrams'],
    http: unused as Runtime['http'],
    programs: unused as Runtime['programs'],
    databases: unused as Runtime['databases'],
    offload: unused as Runtime['offload'],
    log: { write: (level, component, message) => void lines.push(`${level} ${component} ${message}`) },
    lines,
  };
}

function assertUnused(name: string): never {
  throw new Error(`a silo used ${name} of a part of the runtime it has no use for`);
}
