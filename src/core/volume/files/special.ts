// Attributes named `infinit.NAME` or `user.infinit.NAME`: they are no data of a file but say something of it, or do something. Who
// serves a volume gives them a meaning; listings leave them out, so that copying a file does not copy them.

import { asBuffer, type Bytes } from '../../base/bytes.ts';
import type { Abortable } from '../../base/lifecycle.ts';

const prefixes = ['infinit.', 'user.infinit.'];

export interface SpecialAttributes {
  /** `no-attribute` for names it does not know. */
  get(inode: number, name: string, options?: Abortable): Promise<Bytes>;
  /** `usage` for values it does not understand. */
  set(inode: number, name: string, value: Bytes, options?: Abortable): Promise<void>;
}

/** What is behind the prefix; undefined for an attribute like others. */
export function specialName(name: Bytes): string | undefined {
  const text = asBuffer(name).toString('utf8');
  const prefix = prefixes.find((start) => text.startsWith(start));
  return prefix === undefined ? undefined : text.slice(prefix.length);
}
