// What an operation in a client's own journal relies on: files as they were before it, and where they were last seen. Kept with it.

import { type CodecType, list, optional, struct, u48 } from '../../base/codec.ts';
import { limits } from '../../base/limits.ts';
import { fileTime, name } from './messages.ts';

export const expectation = list(
  struct({ inode: u48, changed: fileTime, place: optional(struct({ directory: u48, name })) }),
  limits.writtenFilesMax,
);
export type Expectation = CodecType<typeof expectation>;
