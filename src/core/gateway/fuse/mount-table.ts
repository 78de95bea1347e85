// What is mounted where, as the kernel lists it: read without touching any mount, because one whose server hangs would hang us.

import { readFile } from 'node:fs/promises';

/** What our mounts are, in `mount` and `df`. */
export const mountType = 'fuse.infinit';

export interface MountEntry {
  id: number;
  /** `major:minor`. */
  device: string;
  path: string;
  type: string;
  source: string;
}

/** The mount one sees at the path, which must have no symbolic links. */
export async function mountAt(path: string): Promise<MountEntry | undefined> {
  return parseMountTable(await readFile('/proc/self/mountinfo', 'utf8')).findLast((entry) => entry.path === path);
}

/** In the order they were made; lines that make no sense are left out. */
export function parseMountTable(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const [place = '', kind = ''] = line.split(' - ');
    const [id, , device, , path] = place.split(' ');
    const [type, source] = kind.split(' ');
    if (!id || !device || !path || !type || source === undefined) return [];
    return [{ id: Number(id), device, path: unescapeOctal(path), type, source: unescapeOctal(source) }];
  });
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
