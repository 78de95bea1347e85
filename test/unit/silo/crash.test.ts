// Processes killed in the middle of writing: every acknowledged change must be there afterwards, every other one whole or
// not at all, and a batch of two never half.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openFilesystemSilo } from '../../../src/core/silo/filesystem/filesystem.ts';
import type { LogSilo } from '../../../src/core/silo/filesystem/log-silo.ts';
import { check, type Possible } from './crash.ts';
import { siloRuntime } from './runtime.ts';

const rounds = 8;
const child = fileURLToPath(new URL('./crash-child.ts', import.meta.url));

async function killedRun(path: string, round: number, possible: Possible): Promise<number> {
  const log = `${path}-${round}.log`;
  const words = ['--import', 'tsx', child, path, String(round), log];
  const process = spawn(globalThis.process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(process, 'close');
  const written = async () => (await fs.stat(log).catch(() => undefined))?.size ?? 0;
  while ((await written()) === 0) {
    assert.equal(process.exitCode, null, 'the child ended by itself');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await new Promise((resolve) => setTimeout(resolve, 10 + ((round * 37) % 150)));
  process.kill('SIGKILL');
  await ended;
  assert.equal(process.signalCode, 'SIGKILL', 'the child ended by itself');
  const text = await fs.readFile(log, 'utf8');
  let acknowledged = 0;
  for (const line of text.slice(0, text.lastIndexOf('\n')).split('\n')) {
    const [mark, key = '', version] = line.split(' ');
    if (mark === '!') acknowledged++;
    if (mark === '!') possible.set(key, [Number(version)]);
    else possible.set(key, [...(possible.get(key) ?? [-1]), Number(version)]);
  }
  return acknowledged;
}

describe('silo of a killed process', () => {
  it(`keeps what it acknowledged, ${rounds} times`, async (context) => {
    const root = await fs.mkdtemp(join(tmpdir(), 'infinit-crash-'));
    const path = join(root, 'silo');
    const possible: Possible = new Map();
    let acknowledged = 0;
    let storeId: string | undefined;
    let sequence = 0;
    try {
      for (let round = 0; round < rounds; round++) {
        const before = acknowledged;
        acknowledged += await killedRun(path, round, possible);
        const runtime = siloRuntime();
        const silo = (await openFilesystemSilo(
          { type: 'filesystem', path, capacity: 32 * 1024 * 1024 },
          runtime,
        )) as LogSilo;
        assert.equal(silo.replacedStoreId, undefined, runtime.lines.join('\n'));
        // A child killed before its first answer may have left nothing.
        assert.ok(acknowledged > before ? silo.sequence() > sequence : silo.sequence() >= sequence);
        sequence = silo.sequence();
        storeId ??= Buffer.from(silo.storeId).toString('hex');
        assert.equal(Buffer.from(silo.storeId).toString('hex'), storeId);
        await check(silo, possible);
        await silo.close();
      }
      assert.ok(acknowledged > 300, `only ${acknowledged} changes were made`);
      context.diagnostic(`${acknowledged} acknowledged changes over ${rounds} kills`);
    } finally {
      await fs.rm(root, { recursive: true, force: true });
    }
  });
});
