// The data of files as a client of the view sees it: what the tree holds, with dirty data over it; and what must happen in order
// with dirty data: cuts, reservations, syncs.

import type { Bytes } from '../../base/bytes.ts';
import { assert } from '../../base/errors.ts';
import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Clock } from '../../runtime/runtime.ts';
import type { FileLocks } from './file-locks.ts';
import { type FileState, type FileStates, overlaid } from './file-state.ts';
import { type AllocateMode, type AttributeChange, type Attributes, fileError } from './files.ts';
import type { Flusher } from './flusher.ts';
import type { Losses } from './losses.ts';
import { allocateReply, attributesReply, seekReply } from './messages.ts';
import type { Reading } from './reading.ts';
import type { Requests } from './requests.ts';
import type { FileTimes } from './times.ts';

const readsMax = 4;

export interface FileDataOptions {
  clock: Pick<Clock, 'monotonic'>;
  states: FileStates;
  times: FileTimes;
  requests: Requests;
  flusher: Flusher;
  reading: Reading;
  losses: Losses;
  locks: FileLocks;
}

export class FileData {
  private readonly options: FileDataOptions;

  constructor(options: FileDataOptions) {
    this.options = options;
  }

  async read(inode: number, offset: number, length: number, options: Abortable = {}): Promise<Bytes[]> {
    checkSignal(options.signal);
    if (offset < 0 || length < 0) throw fileError('invalid', 'a negative place or length');
    return this.locked(inode, () =>
      this.options.states.using(inode, async (state) => {
        for (let reads = 1; ; reads++) {
          const { cuts } = state;
          const parts = await this.readOnce(state, offset, length, options);
          // A cut in the middle of it: some bytes may be of before, some of after.
          if (state.cuts === cuts || reads === readsMax) return parts;
        }
      }),
    );
  }

  /** Nothing is shown that may have been read when a lock it relied on was another's already (4.10, K2). */
  private async locked<T>(inode: number, task: () => Promise<T>): Promise<T> {
    this.options.locks.check(inode);
    const shown = await task();
    this.options.locks.check(inode);
    return shown;
  }

  async write(
    inode: number,
    offset: number,
    data: Bytes,
    options: Abortable & { append?: boolean } = {},
  ): Promise<void> {
    checkSignal(options.signal);
    checkRange(offset, data.length);
    this.options.locks.check(inode);
    await this.options.states.using(inode, async (state) => {
      const { requests, flusher, times } = this.options;
      if (!state.checked) await requests.checkFile(state, options);
      const { append = false } = options;
      if (data.length === 0) return;
      const isShared = () => append && state.isShared(this.options.clock.monotonic());
      const asks = append && state.dirty.isEmpty && !isShared();
      const at = asks ? (await requests.attributes(inode, options)).size : offset;
      await flusher.write(state, { offset: at, data, append, now: () => times.now() }, options);
      if (isShared()) await flusher.flush(state, options);
    });
  }

  async change(inode: number, change: AttributeChange, options: Abortable = {}): Promise<Attributes> {
    const { size } = change;
    if (size !== undefined) {
      checkRange(size, 0);
      this.options.locks.check(inode);
    }
    const { states, flusher } = this.options;
    return states.using(inode, async (state) => {
      if (size === undefined && !state.isDirty) return this.changeNow(state, change, options);
      const changed = await flusher.exclusively(
        state,
        async () => {
          // What was written before leaves with its time first; a cut takes away what of it is behind the end, as far as that is known.
          if (size === undefined || state.appending) await flusher.drain(state, options);
          const attributes = await this.changeNow(state, change, options);
          if (size !== undefined) this.wasCut(state, size, attributes);
          return attributes;
        },
        options,
      );
      return state.shown(changed);
    });
  }

  async allocate(inode: number, offset: number, length: number, mode: AllocateMode, options: Abortable = {}) {
    checkSignal(options.signal);
    if (length <= 0) throw fileError('invalid', 'nothing to allocate');
    checkRange(offset, length);
    this.options.locks.check(inode);
    const { states, flusher, requests, times } = this.options;
    await states.using(inode, (state) =>
      flusher.exclusively(
        state,
        async () => {
          await flusher.drain(state, options);
          for (let done = 0; done < length; ) {
            const rest = { offset: offset + done, length: length - done };
            const operation = { type: 'allocate', inode, ...rest, mode, now: times.now() } as const;
            const { behind } = await this.changing(state, () => requests.do(operation, allocateReply, options));
            assert(behind > 0, 'each step of an allocation goes on');
            done += behind;
          }
          state.cuts++;
        },
        options,
      ),
    );
  }

  async seek(inode: number, offset: number, what: 'data' | 'hole', options: Abortable = {}): Promise<number> {
    if (offset < 0) throw fileError('no-such-place', 'no place before the start');
    if (offset > limits.fileBytesMax) throw fileError('no-such-place', 'no place behind the longest file');
    const { states, flusher, requests } = this.options;
    return this.locked(inode, async () => {
      await states.using(inode, (state) =>
        state.isDirty ? flusher.exclusively(state, () => flusher.drain(state, options), options) : Promise.resolve(),
      );
      return requests.ask({ type: 'seek', inode, offset, what }, seekReply, options);
    });
  }

  async flush(inode: number, options: Abortable = {}): Promise<void> {
    checkSignal(options.signal);
    const { states, requests, flusher } = this.options;
    if (states.get(inode) === undefined) await requests.attributes(inode, options);
    else await states.using(inode, (state) => flusher.flush(state, options));
  }

  async sync(inode: number, options: Abortable = {}): Promise<void> {
    await this.options.states.using(inode, async (state) => {
      if (state.opens === 0) await this.options.requests.attributes(inode, options);
      await this.options.flusher.flush(state, options);
      await this.options.losses.sync(state, options);
    });
  }

  async syncAll(options: Abortable = {}): Promise<void> {
    checkSignal(options.signal);
    await this.options.flusher.flushAll(options);
    await this.options.losses.syncAll(options);
  }

  /** Runs an operation on what the tree holds of the file: what was remembered of it is not used any more. */
  async changing<T>(state: FileState, task: () => Promise<T>): Promise<T> {
    this.options.losses.mark(state);
    state.changes++;
    try {
      return await task();
    } finally {
      state.changes++;
    }
  }

  private async changeNow(state: FileState, change: AttributeChange, options: Abortable): Promise<Attributes> {
    const { times, requests } = this.options;
    const { mode, uid, gid, size } = change;
    const now = times.now();
    const accessed = change.accessed === 'now' ? now : change.accessed;
    const modified = change.modified === 'now' ? now : change.modified;
    const fields = { mode, uid, gid, size, accessed, modified, now };
    const operation = { type: 'change', inode: state.inode, ...fields } as const;
    return this.changing(state, async () => {
      for (let before = Number.POSITIVE_INFINITY; ; ) {
        const attributes = await requests.do(operation, attributesReply, options);
        if (size === undefined || attributes.size <= size) return attributes;
        assert(attributes.size < before, 'each step of a cut goes on');
        before = attributes.size;
      }
    });
  }

  private wasCut(state: FileState, size: number, { modified }: Attributes): void {
    state.cuts++;
    this.options.flusher.forget(state, size);
    // What is left was written before.
    state.modified = modified;
  }

  private async readOnce(state: FileState, offset: number, length: number, options: Abortable): Promise<Bytes[]> {
    const end = offset + length;
    const overlay = state.overlay(offset, end);
    const dirtyEnd = state.end;
    const [first] = overlay;
    if (overlay.length === 1 && first?.bytes.length === length && length > 0) return [first.bytes];
    const { size, parts } = await this.options.reading.read(state, offset, length, options);
    const total = Math.max(0, Math.min(end, Math.max(size, dirtyEnd)) - offset);
    if (overlay.length === 0 && size >= offset + total) return parts;
    return overlaid(parts, offset, overlay, total);
  }
}

function checkRange(offset: number, length: number): void {
  if (offset < 0) throw fileError('invalid', 'a negative place');
  if (offset + length > limits.fileBytesMax)
    throw fileError('too-large', `a file has at most ${limits.fileBytesMax} bytes`);
}
