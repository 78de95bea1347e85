// What a change of the tree says to those who remember something of files.

import type { Effect } from '../../tree/tree.ts';
import { decodeEntry } from './entries.ts';
import type { ForeignChange } from './files.ts';
import { fileSpaces, inodeOf } from './records.ts';

const inodeSpaces: readonly number[] = [fileSpaces.inode, fileSpaces.extent, fileSpaces.extended, fileSpaces.orphan];

/** Which inodes, names and directories the effects touch. */
export function foreignChange(effects: readonly Effect[]): ForeignChange {
  const inodes = new Set<number>();
  const directories = new Set<number>();
  const entries: { directory: number; name: Uint8Array }[] = [];
  for (const effect of effects) {
    const key = effect.type === 'deleteRange' ? effect.from : effect.key;
    const space = key[0] ?? 0;
    if (inodeSpaces.includes(space)) inodes.add(inodeOf(key));
    if (space !== fileSpaces.entry) continue;
    const directory = inodeOf(key);
    inodes.add(directory);
    if (effect.type === 'put') entries.push({ directory, name: decodeEntry(effect.value).name });
    else directories.add(directory);
  }
  return { inodes: [...inodes], entries, directories: [...directories] };
}

/** Inodes that have become orphans by these effects. */
export function newOrphans(effects: readonly Effect[]): number[] {
  const found = new Set<number>();
  for (const effect of effects)
    if (effect.type === 'put' && effect.key[0] === fileSpaces.orphan) found.add(inodeOf(effect.key));
  return [...found];
}
