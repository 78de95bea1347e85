// Names: looking up, making, linking, renaming and removing.

import type { Bytes } from '../../base/bytes.ts';
import { isError } from '../../base/errors.ts';
import { type Attributes, fileError, type NewNode, type RenameMode, reasonOf } from '../../volume/files/files.ts';
import { absentReply, emptyReply, type Reply } from './replies.ts';
import type { Forgotten, Link, NewEntry, Rename, Symlink } from './requests.ts';
import type { Call, Serving } from './serving.ts';

const renameFlags = { noReplace: 1, exchange: 2 } as const;

export async function lookup(serving: Serving, call: Call, name: Bytes): Promise<Reply> {
  try {
    return serving.entry(call, name, await serving.files.lookup(call.inode, name, call));
  } catch (error) {
    const validMs = isError(error, 'not-found') && reasonOf(error) === undefined ? serving.validMs(call) : 0;
    if (validMs > 0) return absentReply(validMs);
    throw error;
  }
}

export async function makeNode(serving: Serving, call: Call, entry: NewEntry): Promise<Reply> {
  const { name, type, mode, device } = entry;
  const node: NewNode = { type, mode, uid: call.uid, gid: call.gid };
  if (type === 'character-device' || type === 'block-device') node.device = device;
  return made(serving, call, name, await serving.files.make(call.inode, name, node, call));
}

function made(serving: Serving, call: Call, name: Bytes, attributes: Attributes): Reply {
  serving.changedHere(call.inode, call.node, name);
  return serving.entry(call, name, attributes);
}

export async function makeSymlink(serving: Serving, call: Call, { name, target }: Symlink): Promise<Reply> {
  const node: NewNode = { type: 'symlink', mode: 0o777, uid: call.uid, gid: call.gid, target };
  return made(serving, call, name, await serving.files.make(call.inode, name, node, call));
}

export async function readLink(serving: Serving, call: Call): Promise<Reply> {
  return [await serving.files.readLink(call.inode, call)];
}

export async function link(serving: Serving, call: Call, { inode, name }: Link): Promise<Reply> {
  return made(serving, call, name, await serving.files.link(inode, call.inode, name, call));
}

export async function unlink(serving: Serving, call: Call, name: Bytes): Promise<Reply> {
  await serving.files.unlink(call.inode, name, call);
  return removed(serving, call, name);
}

export async function removeDirectory(serving: Serving, call: Call, name: Bytes): Promise<Reply> {
  await serving.files.removeDirectory(call.inode, name, call);
  return removed(serving, call, name);
}

function removed(serving: Serving, call: Call, name: Bytes): Reply {
  serving.nodes.removeName({ directory: call.node, name });
  serving.changedHere(call.inode, call.node, name);
  return emptyReply;
}

export async function rename(serving: Serving, call: Call, asked: Rename): Promise<Reply> {
  const { nodes } = serving;
  const [name, toName, toNode] = [asked.name, asked.toName, asked.toDirectory];
  const [directory, toDirectory] = [call.inode, nodes.inodeOf(toNode)];
  const mode = renameMode(asked.flags);
  await serving.files.rename({ directory, name }, { directory: toDirectory, name: toName }, mode, call);
  nodes.rename({ directory: call.node, name }, { directory: toNode, name: toName }, mode);
  serving.changedHere(directory, call.node, name);
  serving.changedHere(toDirectory, toNode, toName);
  return emptyReply;
}

/** Leaving a whiteout behind is for overlays over local disks. */
function renameMode(flags: number): RenameMode {
  if (flags === 0) return 'replace';
  if (flags === renameFlags.noReplace) return 'no-replace';
  if (flags === renameFlags.exchange) return 'exchange';
  throw fileError('invalid', 'no such kind of rename');
}

export function forget(serving: Serving, call: Call, lookups: number): void {
  serving.nodes.forget(call.node, lookups);
}

export function forgetMany(serving: Serving, _: Call, forgotten: Forgotten[]): void {
  for (const { node, lookups } of forgotten) serving.nodes.forget(node, lookups);
}
