// Where the sockets of running processes are: in the runtime folder, or, where that path is too long for a socket, under a short
// hash in the temporary folder.

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex, utf8 } from '../base/bytes.ts';
import { hash } from '../crypto/hash.ts';
import type { Home } from '../descriptor/descriptor.ts';

/** Kernels give a socket path 108 bytes, some 104. */
const socketPathBytesMax = 100;

/** What a process is to others of this home. */
export type Role = 'network' | 'key-value-store' | 'volume';

/** One name a (role, user, object), safe as a file name. */
export function processName(role: Role, user: string, name: string): string {
  return `${role}-${user}-${name.replaceAll('/', '-')}`;
}

/** Folder of sockets, 0700; made by whoever listens. */
export function monitorSocket(home: Home, role: Role, user: string, name: string): string {
  const short = toHex(hash(utf8(processName(role, user, name)))).slice(0, 12);
  return shorten(join(home.runtime, 'monitor', `${short}.sock`));
}

/** The door of a key-value store for programs of this home. */
export function doorSocket(home: Home, user: string, name: string): string {
  const short = toHex(hash(utf8(processName('key-value-store', user, name)))).slice(0, 12);
  return shorten(join(home.runtime, 'doors', `${short}.sock`));
}

export function pidFile(home: Home, role: Role, user: string, name: string): string {
  return join(home.runtime, 'pids', `${processName(role, user, name)}.pid`);
}

/** A socket path as asked for, or one that is short enough and just as private. */
export function shorten(path: string): string {
  if (Buffer.byteLength(path) <= socketPathBytesMax) return path;
  const uid = process.getuid?.() ?? 0;
  return join(tmpdir(), `infinit-${uid}`, `${toHex(hash(utf8(path))).slice(0, 16)}.sock`);
}
