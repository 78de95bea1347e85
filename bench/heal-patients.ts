// Systems that lose a node of three and heal: ours, and GlusterFS with three copies.

import { createHash } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '../src/core/base/bytes.ts';
import { askMonitor } from '../src/core/node/monitor.ts';
import { monitorSocket } from '../src/core/node/sockets.ts';
import { systemRuntime } from '../src/core/runtime/system/system.ts';
import { openSilo } from '../src/core/silo/registry.ts';
import type { Device } from '../test/end-to-end/device.ts';
import { glusterMissing, startGluster } from './mount-gluster.ts';
import { infinitMissing, startInfinit } from './mount-infinit.ts';
import type { Scene } from './mount-scene.ts';

const network = 'alice/cluster';
const silo = 'disk';
/** Asking again starts what has ended, and does not hurt what goes on. */
const askEveryMs = 3000;

/** A mounted file system with three copies of everything. */
export interface Patient {
  name: string;
  what: string;
  folder: string;
  /** The third node dies at once; with `disk`, what it kept is gone. */
  lose(disk: boolean): Promise<void>;
  bringBack(): Promise<void>;
  /** The system says that all copies are there, and they are: files by name, their SHA-256. */
  isWhole(files: ReadonlyMap<string, string>): Promise<boolean>;
  /** The last look, at the disks. */
  check(): Promise<void>;
  output(): string;
}

interface PatientKind {
  missing(): string | undefined;
  start(scene: Scene): Promise<Patient>;
}

export const patientKinds: Record<string, PatientKind> = {
  gluster: { missing: glusterMissing, start: glusterPatient },
  infinit: { missing: infinitMissing, start: infinitPatient },
};

async function glusterPatient(scene: Scene): Promise<Patient> {
  const gluster = await startGluster(scene);
  const brick = gluster.bricks[2] as string;
  let isEmptied = false;
  let askedAt = Number.NEGATIVE_INFINITY;
  /** Again and again: it is refused until the brick is connected, and may be asked before the daemon that heals has noticed it. */
  const ask = async () => {
    if (performance.now() - askedAt < askEveryMs) return;
    await gluster.volume('heal', ...(isEmptied ? ['full'] : [])).catch((error: unknown) => {
      if (!/not up|not running|not been started|nsuccessful/.test(String(error))) throw error;
    });
    askedAt = performance.now();
  };
  const isWhole = async (files: ReadonlyMap<string, string>) => {
    await ask();
    if (readdirSync(brick).filter((name) => files.has(name)).length < files.size) return false;
    const told = await gluster.volume('heal', 'info');
    const counts = [...told.matchAll(/Number of entries: (\S+)/g)].map(([, count]) => count);
    if (counts.length < 3 || counts.some((count) => count !== '0')) return false;
    for (const [name, hash] of files) {
      const data = await readFile(join(brick, name));
      if (createHash('sha256').update(data).digest('hex') !== hash) return false;
    }
    return true;
  };
  return {
    name: 'gluster',
    what: `${gluster.what}; brought back by \`start force\` or \`reset-brick\`, then \`heal\` or \`heal full\` every ${askEveryMs / 1000} s`,
    folder: gluster.folder,
    lose: async (disk) => {
      for (const pid of gluster.pids()) if (await isBrick(pid, brick)) process.kill(pid, 'SIGKILL');
      isEmptied = disk;
      if (!disk) return;
      await gluster.volume('reset-brick', gluster.nameOf(brick), 'start');
      for (const name of readdirSync(brick)) rmSync(join(brick, name), { recursive: true });
    },
    bringBack: async () => {
      const name = gluster.nameOf(brick);
      if (isEmptied) await gluster.volume('reset-brick', name, name, 'commit', 'force');
      else await gluster.volume('start', 'force');
      askedAt = Number.NEGATIVE_INFINITY;
    },
    isWhole,
    check: async () => {},
    output: gluster.output,
  };
}

async function isBrick(pid: number, brick: string): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return line.includes('glusterfsd') && line.includes(brick);
}

interface Redundancy {
  under_replicated_registers: number;
  under_replicated_blocks: number;
  missing_blocks: number;
  work: Record<string, { backlog?: number }>;
}

interface Status {
  silo: { blocks: number };
}

async function infinitPatient(scene: Scene): Promise<Patient> {
  const infinit = await startInfinit(scene);
  const { nodes, running } = infinit;
  const third = nodes[2] as Device;
  const ask = async <T>(device: Device, what: string) =>
    (await askMonitor(monitorSocket(device.folders, 'network', device.user, network), what)) as T;
  const isWhole = async (files: ReadonlyMap<string, string>) => {
    const blocks = await Promise.all(nodes.map(async (node) => (await ask<Status>(node, 'status')).silo.blocks));
    if (blocks.some((count) => count !== blocks[0]) || blocks[0] === 0 || files.size === 0) return false;
    for (const node of nodes) {
      const told = await ask<Redundancy>(node, 'redundancy');
      if (told.under_replicated_registers + told.under_replicated_blocks + told.missing_blocks > 0) return false;
      // What scrub has left is what its pass has not read yet.
      if (Object.entries(told.work).some(([name, { backlog = 0 }]) => name !== 'scrub' && backlog > 0)) return false;
    }
    return true;
  };
  return {
    name: 'infinit',
    what: infinit.what,
    folder: infinit.folder,
    lose: async (disk) => {
      await running[2]?.kill();
      const folder = third.siloFolder(silo);
      if (disk) for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
    },
    bringBack: async () => {
      running[2] = await third.startNode(network);
    },
    isWhole,
    check: () => checkSilos(infinit.nodes, infinit.running),
    output: infinit.output,
  };
}

/** Stops the nodes and compares what their disks keep, each block verified. */
async function checkSilos(nodes: readonly Device[], running: readonly { stop(): Promise<unknown> }[]): Promise<void> {
  for (const node of running) await node.stop();
  const copies = new Map<string, number>();
  for (const node of nodes) {
    const opened = await openSilo({ type: 'filesystem', path: node.siloFolder(silo) }, systemRuntime());
    for await (const key of opened.list('block')) {
      await opened.verify('block', key);
      copies.set(toHex(key), (copies.get(toHex(key)) ?? 0) + 1);
    }
    await opened.close();
  }
  const missing = [...copies.values()].filter((count) => count < nodes.length).length;
  if (missing > 0) throw new Error(`${missing} of ${copies.size} blocks are not kept by all nodes`);
}
