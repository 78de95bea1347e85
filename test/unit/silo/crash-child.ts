// A process that changes a silo until it is killed. A line `!` in its log is a change that was acknowledged; a line `?` before
// announces it, so that the parent knows what may have happened as well. The log is a file: a pipe may take half a line.

import { openSync, writeSync } from 'node:fs';
import { openFilesystemSilo } from '../../../src/core/silo/filesystem/filesystem.ts';
import { keyOf } from '../../conformance/silo.ts';
import { crashValue } from './crash.ts';
import { siloRuntime } from './runtime.ts';

const [path = '', round = '0', logPath = ''] = process.argv.slice(2);
const log = openSync(logPath, 'a');
const silo = await openFilesystemSilo({ type: 'filesystem', path, capacity: 32 * 1024 * 1024 }, siloRuntime());

/** One worker changes its own keys one after another; what is announced and not acknowledged is at most one change a worker. */
async function work(worker: number): Promise<never> {
  for (let n = 0; ; n++) {
    const name = (worker * 7 + n) % 40;
    const version = Number(round) * 1_000_000 + n;
    const deletes = n % 11 === 5;
    const keys = n % 3 === 0 ? [`${worker}/${name}`, `${worker}/pair`] : [`${worker}/${name}`];
    for (const key of keys) writeSync(log, `? ${key} ${deletes ? -1 : version}\n`);
    await silo.batch(
      keys.map((key) => ({
        space: 'register',
        key: keyOf(key),
        value: deletes ? undefined : crashValue(key, version),
      })),
    );
    for (const key of keys) writeSync(log, `! ${key} ${deletes ? -1 : version}\n`);
  }
}

await Promise.all(Array.from({ length: 12 }, (_, worker) => work(worker)));
