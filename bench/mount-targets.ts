// What is measured by `mount.ts`: directories, each with what serves it.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { glusterMissing, startGluster } from './mount-gluster.ts';
import { infinitMissing, startInfinit } from './mount-infinit.ts';
import type { Scene } from './mount-scene.ts';

/** A directory, and what serves it. */
export interface Target {
  name: string;
  /** For people: versions, copies. */
  what: string;
  folder: string;
  /** False where a mount is gone: what is done in the folder then says nothing of it. */
  isServed(): boolean;
  /** Processes that serve it. */
  pids(): number[];
  /** Ends the process that serves the mount, in order, and starts another: its caches are empty then. */
  remount(): Promise<void>;
  /** The last of what the processes said, for when something fails. */
  output(): string;
}

interface TargetKind {
  /** Why it cannot run here, if it cannot. */
  missing(): string | undefined;
  /** Processes that can leave CPU profiles in the folder `profile`. */
  start(scene: Scene, profile: string | undefined): Promise<Target>;
}

export const targetKinds: Record<string, TargetKind> = {
  local: { missing: () => undefined, start: async (scene) => startLocal(scene) },
  gluster: { missing: glusterMissing, start: startGluster },
  infinit: { missing: infinitMissing, start: startInfinit },
};

function startLocal(scene: Scene): Target {
  const folder = join(scene.folder, 'local');
  mkdirSync(folder);
  return {
    name: 'local',
    what: 'a directory of this machine, one copy',
    folder,
    isServed: () => true,
    pids: () => [],
    remount: async () => {},
    output: () => '',
  };
}
