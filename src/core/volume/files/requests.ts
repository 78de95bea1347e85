// Operations and queries of the files view over a tree. An operation is seen at once and durable by the next sync.

import type { Bytes } from '../../base/bytes.ts';
import { type Codec, decode, encode } from '../../base/codec.ts';
import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import type { Tree } from '../../tree/tree.ts';
import type { FileState, FileStates } from './file-state.ts';
import type { Attributes } from './files.ts';
import type { Flusher } from './flusher.ts';
import { attributesReply, type FileOperation, type FileQuery, fileOperation, fileQuery } from './messages.ts';

const filesSeenMax = 4096;
const asksMax = 4;

export interface RequestsOptions {
  tree: Tree;
  states: FileStates;
  flusher: Flusher;
}

export class Requests {
  private readonly options: RequestsOptions;
  /** Inodes known to be files. */
  private readonly files = new Set<number>();

  /** An operation that is durable when it resolves. */
  static async durably<T>(tree: Tree, operation: FileOperation, reply: Codec<T>): Promise<T> {
    return decode(reply, await tree.do(encode(fileOperation, operation)));
  }

  constructor(options: RequestsOptions) {
    this.options = options;
  }

  async do<T>(operation: FileOperation, reply: Codec<T>, options: Abortable = {}): Promise<T> {
    return decode(reply, await this.run(operation, options));
  }
  run(operation: FileOperation, { signal }: Abortable = {}): Promise<Bytes> {
    return this.options.tree.do(encode(fileOperation, operation), { durable: false, signal });
  }
  async ask<T>(query: FileQuery, reply: Codec<T>, { signal }: Abortable = {}): Promise<T> {
    checkSignal(signal);
    return decode(reply, await this.options.tree.query(encode(fileQuery, query), { signal }));
  }

  async attributes(inode: number, options: Abortable = {}): Promise<Attributes> {
    return this.asked({ type: 'attributes', inode }, options);
  }

  /** What a query finds, with data that is not in the tree yet. */
  async asked(query: FileQuery & { type: 'attributes' | 'lookup' }, options: Abortable): Promise<Attributes> {
    const { flusher } = this.options;
    for (let asks = 1; ; asks++) {
      const { arrivals } = flusher;
      const attributes = await this.ask(query, attributesReply, options);
      // Data that arrived meanwhile is neither dirty any more nor surely in the answer.
      if (asks === asksMax || !flusher.arrivedSince(attributes.inode, arrivals)) return this.shown(attributes);
    }
  }

  /** An operation's answer, the same way. */
  async attributesOf(operation: FileOperation, options: Abortable = {}): Promise<Attributes> {
    const { arrivals } = this.options.flusher;
    return this.fresh(await this.do(operation, attributesReply, options), arrivals, options);
  }

  /** Attributes answered to what was asked at that count of arrivals. */
  fresh(attributes: Attributes, arrivals: number, options: Abortable): Attributes | Promise<Attributes> {
    const { flusher } = this.options;
    const { inode } = attributes;
    return flusher.arrivedSince(inode, arrivals) ? this.attributes(inode, options) : this.shown(attributes);
  }

  /** Throws what reading or writing throws of what is no file. */
  async checkFile(state: FileState, options: Abortable): Promise<void> {
    if (state.checked) return;
    // Asking for data tells apart what is no file.
    if (!this.files.has(state.inode))
      await this.options.tree.query(
        encode(fileQuery, { type: 'extents', inode: state.inode, offset: 0, length: 0 }),
        options,
      );
    state.checked = true;
  }

  forgetFile(inode: number): void {
    this.files.delete(inode);
  }

  private shown(attributes: Attributes): Attributes {
    const { inode, type, links } = attributes;
    if (type === 'file' && links > 0 && !this.files.has(inode)) {
      this.files.add(inode);
      const [oldest] = this.files;
      if (this.files.size > filesSeenMax && oldest !== undefined) this.files.delete(oldest);
    }
    return this.options.states.get(inode)?.shown(attributes) ?? attributes;
  }
}
