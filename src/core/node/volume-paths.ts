// Paths over a files view, walked as the kernel would: links on the way are followed, one at the end is not. An absolute link
// begins at the root of the volume.

import { asBuffer, type Bytes, utf8 } from '../base/bytes.ts';
import { type Attributes, type Files, fileError, rootInode } from '../volume/files/files.ts';

const linksFollowedMax = 40;

/** An entry of a directory, whether it is there or not. */
export interface Place {
  directory: number;
  name: Bytes;
}

export class VolumePaths {
  private readonly files: Files;

  constructor(files: Files) {
    this.files = files;
  }

  /** What the path ends at, a symbolic link too. */
  async find(path: string): Promise<Attributes> {
    const end = await this.placeOf(path);
    return end === undefined ? this.files.attributes(rootInode) : this.lookUp(end);
  }

  lookUp({ directory, name }: Place): Promise<Attributes> {
    return this.files.lookup(directory, name);
  }

  /** Where the path ends; undefined is the root. */
  async placeOf(path: string): Promise<Place | undefined> {
    const parts = path.split('/');
    /** How the walk came to where it is. */
    let way: Place[] = [];
    let directory = rootInode;
    for (let followed = 0; parts.length > 0; ) {
      const part = parts.shift() as string;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        directory = way.pop()?.directory ?? rootInode;
        continue;
      }
      const place = { directory, name: utf8(part) };
      if (parts.every((rest) => rest === '' || rest === '.')) return place;
      const found = await this.lookUp(place);
      if (found.type === 'symlink') {
        if (++followed > linksFollowedMax) throw fileError('invalid', 'too many symbolic links');
        const target = asBuffer(await this.files.readLink(found.inode)).toString('utf8');
        if (target.startsWith('/')) [way, directory] = [[], rootInode];
        parts.unshift(...target.split('/'));
      } else if (found.type === 'directory') {
        way.push(place);
        directory = found.inode;
      } else throw fileError('not-directory', `${part} is not a directory`);
    }
    return way.at(-1);
  }
}
