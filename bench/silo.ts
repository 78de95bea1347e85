// What the filesystem silo does on this machine: `node --import tsx bench/silo.ts [FOLDER]`. Prints one table; the longest
// stall is that of the event loop while the line ran, and includes waiting for a core; the longest work is what its thread itself
// did in one go, on this machine or a busy one.

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { hash } from '../src/core/crypto/hash.ts';
import { openFilesystemSilo } from '../src/core/silo/filesystem/filesystem.ts';
import type { LogSilo } from '../src/core/silo/filesystem/log-silo.ts';
import type { Silo } from '../src/core/silo/silo.ts';
import { siloRuntime } from '../test/unit/silo/runtime.ts';
import { watchTurns } from './thread-clock.ts';

// What preparations leave behind is not to be collected while something else is measured.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const KiB = 1024;
const MiB = 1024 * KiB;
const blocks = 200_000;

function keyOf(name: string): Buffer {
  return hash(Buffer.from(name));
}

interface Measured {
  seconds: number;
  stallMs: number;
  workMs: number;
  cpuSeconds: number;
}

/** Event-loop stall and work beyond the resolution of the monitors, and CPU, of a task. */
async function measured(task: () => Promise<void>): Promise<Measured> {
  collectGarbage();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const cpu = process.cpuUsage();
  const start = performance.now();
  delay.enable();
  const longestWork = watchTurns();
  await task();
  const workMs = longestWork();
  delay.disable();
  const { user, system } = process.cpuUsage(cpu);
  return {
    seconds: (performance.now() - start) / 1000,
    stallMs: delay.max / 1e6 - 1,
    workMs,
    cpuSeconds: (user + system) / 1e6,
  };
}

async function inFlight(count: number, depth: number, task: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: depth }, lane));
}

function row(name: string, count: number, bytes: number, m: Measured): void {
  const rate = Math.round(count / m.seconds);
  const mib = ((count * bytes) / MiB / m.seconds).toFixed(0);
  const cpu = ((m.cpuSeconds * 1e6) / count).toFixed(1);
  process.stdout.write(`| ${name} | ${rate} | ${mib} | ${cpu} | ${m.stallMs.toFixed(1)} | ${m.workMs.toFixed(1)} |\n`);
}

async function puts(silo: Silo, name: string, count: number, bytes: number, depth: number): Promise<void> {
  const value = randomBytes(bytes);
  // In one piece: as so many buffers they would be the collector's work, which is measured too.
  const keys = Buffer.alloc(count * 32);
  for (let i = 0; i < count; i++) keys.set(keyOf(`${name} ${i}`), i * 32);
  const m = await measured(() =>
    inFlight(count, depth, (i) => silo.put('block', keys.subarray(i * 32, i * 32 + 32), value)),
  );
  row(name, count, bytes, m);
}

async function fill(path: string): Promise<void> {
  const silo = await openFilesystemSilo({ type: 'filesystem', path }, siloRuntime());
  await puts(silo, `put 1 KiB x512 (${blocks})`, blocks, KiB, 512);
  process.kill(process.pid, 'SIGKILL');
}

async function reopened(path: string): Promise<void> {
  let silo: LogSilo | undefined;
  const open = async (name: string) => {
    const m = await measured(async () => {
      silo = (await openFilesystemSilo({ type: 'filesystem', path }, siloRuntime())) as LogSilo;
    });
    process.stdout.write(
      `| ${name} | ${(m.seconds * 1000).toFixed(0)} ms | | | ${m.stallMs.toFixed(1)} | ${m.workMs.toFixed(1)} |\n`,
    );
  };
  await open('reopen after kill -9');
  await silo?.close();
  await open('reopen after close');
  if (silo === undefined) return;
  const { entries } = silo.usage();
  process.stdout.write(
    `| index memory | ${(silo.indexBytes / entries).toFixed(1)} B a block of ${entries} | | | | |\n`,
  );
  const used = silo;
  const keys = Array.from({ length: 40_000 }, (_, i) => keyOf(`put 1 KiB x512 (${blocks}) ${(i * 7919) % blocks}`));
  for (const depth of [1, 16]) {
    const count = depth === 1 ? 10_000 : keys.length;
    const m = await measured(() => inFlight(count, depth, (i) => used.get('block', keys[i] as Buffer)));
    row(`get 1 KiB x${depth}, page cache warm`, count, KiB, m);
  }
  let listed = 0;
  const m = await measured(async () => {
    for await (const _ of used.list('block')) listed++;
  });
  row('list', listed, 32, m);
  await silo.close();
}

const [first, second] = process.argv.slice(2);
if (first === 'fill') await fill(second ?? '');
else {
  const root = await fs.mkdtemp(join(first ?? tmpdir(), 'infinit-bench-'));
  try {
    process.stdout.write(
      '| what | per second | MiB/s | CPU us each | longest stall ms | longest work ms |\n|---|---|---|---|---|---|\n',
    );
    const path = join(root, 'puts');
    const silo = await openFilesystemSilo({ type: 'filesystem', path }, siloRuntime());
    await puts(silo, 'warm up', 4000, 4 * KiB, 32);
    await puts(silo, 'put 4 KiB x1', 4000, 4 * KiB, 1);
    await puts(silo, 'put 4 KiB x8', 20_000, 4 * KiB, 8);
    await puts(silo, 'put 4 KiB x64', 80_000, 4 * KiB, 64);
    await puts(silo, 'put 1 MiB x2', 400, MiB, 2);
    await puts(silo, 'put 1 MiB x8', 800, MiB, 8);
    await silo.close();
    await fs.rm(path, { recursive: true });
    const filled = join(root, 'filled');
    const self = fileURLToPath(import.meta.url);
    spawnSync(process.execPath, ['--import', 'tsx', self, 'fill', filled], { stdio: 'inherit' });
    await reopened(filled);
  } finally {
    await fs.rm(root, { recursive: true, force: true });
  }
}
