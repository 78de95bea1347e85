// What is done in a mounted directory by `mount.ts`, in this order, each in a process of its own (`mount-worker.ts`).

/** How much there is of everything. */
export interface Sizes {
  /** Of the file read and written, in MiB. */
  dataMiB: number;
  /** Seconds of random reads and writes. */
  seconds: number;
  /** Small files created, renamed, unlinked. */
  files: number;
  /** Files in the tree that is unpacked. */
  tree: number;
  /** Files in the repository that is cloned. */
  repository: number;
}

export interface Work {
  name: string;
  unit: 'MiB/s' | '/s' | 's';
  /** What of the worker does it. */
  task: string;
  /** Names of works whose outcome it works on. */
  needs: readonly string[];
  /** `dropped`: the kernel's caches are; `fresh mount`: the process that serves the mount is another, too. */
  caches: 'warm' | 'dropped' | 'fresh mount';
}

const data = ['sequential write, fsync'];
const files = ['create 4 KiB'];

export const works: readonly Work[] = [
  { name: 'sequential write, fsync', unit: 'MiB/s', task: 'write', needs: [], caches: 'warm' },
  { name: 'sequential read, caches dropped', unit: 'MiB/s', task: 'read', needs: data, caches: 'dropped' },
  { name: 'sequential read, fresh mount', unit: 'MiB/s', task: 'read', needs: data, caches: 'fresh mount' },
  { name: 'random read 4 KiB', unit: '/s', task: 'randomRead', needs: data, caches: 'dropped' },
  { name: 'random write 4 KiB, fsync at the end', unit: '/s', task: 'randomWrite', needs: data, caches: 'warm' },
  { name: 'random write 4 KiB, fdatasync each', unit: '/s', task: 'randomWriteSync', needs: data, caches: 'warm' },
  { name: 'create 4 KiB', unit: '/s', task: 'create', needs: [], caches: 'warm' },
  { name: 'create 4 KiB, fsync each', unit: '/s', task: 'createSync', needs: [], caches: 'warm' },
  { name: 'stat, warm', unit: '/s', task: 'statWarm', needs: files, caches: 'warm' },
  { name: 'stat, caches dropped', unit: '/s', task: 'stat', needs: files, caches: 'dropped' },
  { name: 'stat, fresh mount', unit: '/s', task: 'stat', needs: files, caches: 'fresh mount' },
  { name: 'rename', unit: '/s', task: 'rename', needs: files, caches: 'warm' },
  { name: 'unlink', unit: '/s', task: 'unlink', needs: [...files, 'rename'], caches: 'warm' },
  { name: 'unpack a tree, sync', unit: 's', task: 'unpack', needs: [], caches: 'warm' },
  { name: 'git clone, sync', unit: 's', task: 'clone', needs: [], caches: 'warm' },
  { name: 'remove the tree, sync', unit: 's', task: 'remove', needs: ['unpack a tree, sync'], caches: 'dropped' },
];

/** Works whose names match, and what they need, in order. */
export function worksFor(pattern: RegExp): readonly Work[] {
  const wanted = new Set(works.filter(({ name }) => pattern.test(name)).map(({ name }) => name));
  // Needs stand above what needs them.
  for (const work of works.toReversed()) if (wanted.has(work.name)) for (const need of work.needs) wanted.add(need);
  return works.filter(({ name }) => wanted.has(name));
}

export function describe(sizes: Sizes, direct: boolean): string {
  return (
    `One file of ${sizes.dataMiB} MiB in 128 KiB; random reads and writes of 4 KiB ` +
    `${direct ? 'with O_DIRECT' : 'buffered (a file system here takes no O_DIRECT)'}, one at a time, for ${sizes.seconds} s; ` +
    `${sizes.files} small files in one folder, one at a time; a tree of ${sizes.tree} files; ` +
    `a repository of ${sizes.repository} files in ten commits.`
  );
}
