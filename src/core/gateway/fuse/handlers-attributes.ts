// Attributes, usage, and what a change of content or owner takes away from a file: the right to run as somebody else.

import { utf8 } from '../../base/bytes.ts';
import { isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { AttributeChange, Attributes } from '../../volume/files/files.ts';
import { attributesReply, extendedAttributesReply, type Reply, usageReply } from './replies.ts';
import type { SetAttributes } from './requests.ts';
import type { Call, Serving } from './serving.ts';

const setUserId = 0o4000;
const setGroupId = 0o2000;
const groupExecute = 0o010;
const harmlessMs = 1000;
const capability = utf8('security.capability');

export async function getAttributes(serving: Serving, call: Call): Promise<Reply> {
  return attributesReply(await serving.files.attributes(call.inode, call), serving.shown(call));
}

export async function getExtendedAttributes(serving: Serving, call: Call): Promise<Reply> {
  return extendedAttributesReply(await serving.files.attributes(call.inode, call), serving.shown(call));
}

export async function setAttributes(serving: Serving, call: Call, asked: SetAttributes): Promise<Reply> {
  const { files } = serving;
  const { change } = asked;
  serving.open.setHarmlessUntil(call.inode, Number.NEGATIVE_INFINITY);
  const takesPrivileges = change.size !== undefined || change.uid !== undefined || change.gid !== undefined;
  const before = takesPrivileges ? await files.attributes(call.inode, call) : undefined;
  // A directory's set-group-id means something else: it stays.
  if (before !== undefined && before.type !== 'directory') {
    await dropCapability(serving, call, before);
    if (asked.killPrivileges) change.mode = harmlessMode(change.mode ?? before.mode);
    if (change.mode === before.mode) delete change.mode;
  }
  const attributes = hasAny(change)
    ? await files.change(call.inode, change, call)
    : await files.attributes(call.inode, call);
  serving.changedHere(call.inode, call.node);
  return attributesReply(attributes, serving.shown(call));
}

/**
 * Before a write or a truncation by open; `killModes` when the writer may not keep such modes. Looks at most once in a while: a
 * write just after another client set a privilege is as good as one just before.
 */
export async function dropPrivileges(serving: Serving, call: Call, killModes: boolean): Promise<void> {
  const now = serving.clock.monotonic();
  if (serving.open.isHarmless(call.inode, now)) return;
  const attributes = await serving.files.attributes(call.inode, call);
  await dropCapability(serving, call, attributes);
  const mode = harmlessMode(attributes.mode);
  if (mode === attributes.mode) serving.open.setHarmlessUntil(call.inode, now + harmlessMs);
  else if (killModes) {
    await serving.files.change(call.inode, { mode }, call);
    await serving.forgetAttributes(call.inode);
  }
}

async function dropCapability(serving: Serving, call: Call, attributes: Attributes): Promise<void> {
  if (!attributes.hasExtended) return;
  try {
    await serving.files.removeExtended(call.inode, capability, call);
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
  }
}

/** Without execution by the group, set-group-id means something else and stays. */
function harmlessMode(mode: number): number {
  return mode & ~(setUserId | ((mode & groupExecute) !== 0 ? setGroupId : 0));
}

function hasAny(change: AttributeChange): boolean {
  return Object.keys(change).length > 0;
}

export async function usage(serving: Serving, call: Call): Promise<Reply> {
  return usageReply(await serving.files.usage(call), limits.fileNameBytesMax);
}
