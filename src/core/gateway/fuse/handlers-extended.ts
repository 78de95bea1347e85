// Extended attributes: those of users, of administrators, of the system's own labels, and ours. POSIX access control lists are not
// kept, and the kernel is told so.

import { asBuffer, type Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { fileError } from '../../volume/files/files.ts';
import { specialName } from '../../volume/files/special.ts';
import { ProtocolError } from './protocol-error.ts';
import { countReply, emptyReply, type Reply } from './replies.ts';
import type { Extended, SetExtended } from './requests.ts';
import type { Call, Serving } from './serving.ts';
import { errnoOfProtocol } from './wire.ts';

const families = ['user.', 'trusted.', 'security.', 'infinit.'];
const nameBytesMax = 255;
const capability = 'security.capability';
const setFlags = { create: 1, replace: 2 } as const;

export async function getExtended(serving: Serving, call: Call, { name, room }: Extended): Promise<Reply> {
  const text = checkName(name);
  // Asked for at each write and start of a program: a file without any attribute answers without a look at them.
  if (text === capability && !(await serving.files.attributes(call.inode, call)).hasExtended)
    throw fileError('no-attribute', 'no capability is set');
  return sized([await serving.files.getExtended(call.inode, name, call)], room);
}

export async function listExtended(serving: Serving, call: Call, room: number): Promise<Reply> {
  const names = await serving.files.listExtended(call.inode, call);
  return sized([Buffer.concat(names.flatMap((name) => [name, Buffer.alloc(1)]))], room);
}

export async function setExtended(serving: Serving, call: Call, asked: SetExtended): Promise<Reply> {
  checkName(asked.name);
  if (specialName(asked.name) !== undefined && call.uid !== serving.ownUid && call.uid !== 0)
    throw fileError('not-permitted', 'only who mounted the volume acts in his name');
  if (asked.value.length > limits.extendedValueBytesMax)
    throw fileError('attribute-too-large', 'the value is too long');
  const only = onlyWhen(asked.flags);
  serving.open.setHarmlessUntil(call.inode, Number.NEGATIVE_INFINITY);
  await serving.files.setExtended(call.inode, asked.name, asked.value, { signal: call.signal, ...(only && { only }) });
  serving.changedHere(call.inode, call.node);
  return emptyReply;
}

export async function removeExtended(serving: Serving, call: Call, name: Bytes): Promise<Reply> {
  checkName(name);
  await serving.files.removeExtended(call.inode, name, call);
  serving.changedHere(call.inode, call.node);
  return emptyReply;
}

function onlyWhen(flags: number): 'create' | 'replace' | undefined {
  if (flags === 0) return undefined;
  if (flags === setFlags.create) return 'create';
  if (flags === setFlags.replace) return 'replace';
  throw fileError('invalid', 'create and replace exclude each other');
}

function checkName(name: Bytes): string {
  const text = asBuffer(name).toString('latin1');
  if (!families.some((family) => text.startsWith(family)))
    throw new InfinitError('unsupported', 'no such family of attributes');
  if (families.includes(text)) throw fileError('invalid', 'the name of an attribute is empty');
  if (text.length > nameBytesMax)
    throw new ProtocolError(errnoOfProtocol.ERANGE, 'the name of an attribute is too long');
  return text;
}

function sized(value: readonly Bytes[], room: number): Reply {
  const length = value.reduce((sum, piece) => sum + piece.length, 0);
  if (room === 0) return countReply(length);
  if (length > room) throw new ProtocolError(errnoOfProtocol.ERANGE, 'the value is longer than the room for it');
  return value;
}
