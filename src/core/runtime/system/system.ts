// The real outside, for processes that serve people.

import { setMaxListeners } from 'node:events';
import type { Runtime } from '../runtime.ts';
import { systemClock } from './clock.ts';
import { systemDatabases } from './databases.ts';
import { systemDatagrams } from './datagrams.ts';
import { systemFiles } from './files.ts';
import { systemHttp } from './http.ts';
import { type LogOptions, systemLog } from './log.ts';
import { systemOffload } from './offload.ts';
import { systemPrograms } from './programs.ts';
import { systemRandom } from './random.ts';
import { systemTransport } from './transport.ts';

export interface SystemOptions {
  log?: LogOptions;
}

export function systemRuntime(options: SystemOptions = {}): Runtime {
  // One signal is given to any number of calls; Node warns of more than ten listeners.
  setMaxListeners(0);
  return {
    clock: systemClock(),
    random: systemRandom,
    transport: systemTransport,
    datagrams: systemDatagrams,
    http: systemHttp(),
    programs: systemPrograms,
    files: systemFiles(),
    databases: systemDatabases,
    offload: systemOffload,
    log: systemLog(options.log),
  };
}
