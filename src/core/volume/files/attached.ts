// Extended attributes for a client of the files view: those kept in the tree, and the special ones of who serves it.

import type { Bytes } from '../../base/bytes.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { fileError } from './files.ts';
import { getExtendedReply, listExtendedReply } from './messages.ts';
import { checkExtendedName } from './names.ts';
import type { Requests } from './requests.ts';
import { type SpecialAttributes, specialName } from './special.ts';
import type { FileTimes } from './times.ts';

export interface AttachedOptions {
  requests: Requests;
  times: FileTimes;
  special: SpecialAttributes | undefined;
}

export class Attached {
  private readonly options: AttachedOptions;

  constructor(options: AttachedOptions) {
    this.options = options;
  }

  async get(inode: number, name: Bytes, options: Abortable = {}): Promise<Bytes> {
    checkExtendedName(name);
    const special = specialName(name);
    if (special !== undefined) return this.special().get(inode, special, options);
    return this.options.requests.ask({ type: 'getExtended', inode, name }, getExtendedReply, options);
  }

  async set(
    inode: number,
    name: Bytes,
    value: Bytes,
    options: Abortable & { only?: 'create' | 'replace' } = {},
  ): Promise<void> {
    checkExtendedName(name);
    if (value.length > limits.extendedValueBytesMax)
      throw fileError('attribute-too-large', `an attribute has at most ${limits.extendedValueBytesMax} bytes`);
    const special = specialName(name);
    if (special !== undefined) return this.special().set(inode, special, value, options);
    const { requests, times } = this.options;
    await requests.run({ type: 'setExtended', inode, name, value, only: options.only, now: times.now() }, options);
  }

  list(inode: number, options: Abortable = {}): Promise<Bytes[]> {
    return this.options.requests.ask({ type: 'listExtended', inode }, listExtendedReply, options);
  }

  async remove(inode: number, name: Bytes, options: Abortable = {}): Promise<void> {
    checkExtendedName(name);
    if (specialName(name) !== undefined) throw fileError('not-permitted', 'this attribute cannot be removed');
    const { requests, times } = this.options;
    await requests.run({ type: 'removeExtended', inode, name, now: times.now() }, options);
  }

  private special(): SpecialAttributes {
    const { special } = this.options;
    if (special === undefined) throw fileError('no-attribute', 'no such attribute');
    return special;
  }
}
