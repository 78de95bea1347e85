// Who is invited to a drive: offered by its owner, taken up or declined by the user. Who is invited is kept beside the drive, so that
// neither has to sign for the other. By e-mail the owner invites people whose name he does not know, who may have none yet: whoever
// has confirmed that address, now or later, is who was invited, and the hub's delegate lets him into the network.

import { limits } from '../../base/limits.ts';
import type { DriveDescriptor, DriveUser } from '../../descriptor/descriptor.ts';
import { isName } from '../../descriptor/names.ts';
import { invitation as invitationBody } from '../bodies.ts';
import type { Answer, Call } from './call.ts';
import { delegatePassport, inviterRights, letIn } from './delegate.ts';
import { checkOwner, isSame, ownerOf } from './descriptors.ts';
import { driveOf, notYours } from './drives.ts';
import * as letters from './letters.ts';
import { postOf, tell } from './post.ts';
import { forbidden, notFound, Refusal } from './refusal.ts';

export async function getInvitations(call: Call): Promise<Answer> {
  const drive = await driveOf(call.store, call.qualified);
  checkOwner(call, 'drive', drive.name, drive);
  return { status: 200, body: { invitations: Object.fromEntries(await call.store.invitations(drive.name)) } };
}

/** By the owner: offered, whatever the status says. By the user: joined, and nothing else changes. */
export async function putInvitation(call: Call): Promise<Answer> {
  const name = call.qualified;
  const invitee = call.nameOrAddress('user');
  const asked = call.fields(invitationBody);
  const drive = await driveOf(call.store, name);
  if (!isName(invitee)) return inviteByEmail(call, drive, invitee, asked);
  if (!call.isOwner(drive)) return join(call, name, invitee);
  const { before, answer } = await offer(call, name, invitee, asked);
  if (before === undefined)
    await tell(call, invitee, call.caller.name, (to) => letters.invitation(to, name, call.caller.name));
  return answer;
}

/** Whoever has that address is let in and invited by his name; who it is nobody has said yet is invited by the address. */
async function inviteByEmail(call: Call, drive: DriveDescriptor, address: string, asked: DriveUser): Promise<Answer> {
  checkOwner(call, 'drive', drive.name, drive);
  const post = postOf(call);
  const network = await call.network(drive.network);
  const rights = await inviterRights(call, network, call.caller);
  await delegatePassport(call.store, network, call.nowMs);
  const [known] = await call.store.confirmedUsers(address);
  const user = known === undefined ? undefined : await call.store.get('user', known);
  if (user !== undefined) await letIn(call, network, user, rights);
  const { answer } = await offer(call, drive.name, user?.name ?? address, asked);
  const by = call.caller.name;
  const letter = user === undefined ? letters.invitationToSignUp : letters.invitation;
  await post.send(by, letter(address, drive.name, by, call.settings.url));
  return answer;
}

async function offer(call: Call, drive: string, invitee: string, { permissions, create_home }: DriveUser) {
  return call.store.transaction(ownerOf(drive), async (store) => {
    checkOwner(call, 'drive', drive, await driveOf(store, drive));
    if (isName(invitee) && (await store.get('user', invitee)) === undefined) throw notFound('user', invitee);
    if (invitee === ownerOf(drive)) throw forbidden('drive', drive, 'The owner is automatically invited to its drives');
    const known = await store.invitations(drive);
    const before = known.get(invitee);
    if (before === undefined && known.size >= limits.driveUsersMax)
      throw new Refusal(413, {
        error: 'drive/limit',
        reason: `drive "${drive}" has ${known.size} users, which is the limit`,
      });
    const now: DriveUser = { permissions, status: before?.status ?? 'pending', create_home };
    await store.setInvitation(drive, invitee, now);
    return { before, answer: answerOf(before, now) };
  });
}

async function join(call: Call, drive: string, user: string): Promise<Answer> {
  const { before, answer } = await call.store.transaction(ownerOf(drive), async (store) => {
    const before = (await store.invitations(drive)).get(user);
    if (user !== call.caller.name || before === undefined) throw notYours(drive);
    const now: DriveUser = { ...before, status: 'ok' };
    await store.setInvitation(drive, user, now);
    return { before, answer: answerOf(before, now) };
  });
  if (before.status === 'pending') await tell(call, ownerOf(drive), user, (to) => letters.joined(to, drive, user));
  return answer;
}

function answerOf(before: DriveUser | undefined, now: DriveUser): Answer {
  if (before === undefined) return { status: 201, body: { result: 'created' } };
  return { status: 200, body: { result: isSame(before, now) ? 'unchanged' : 'updated' } };
}

/** By the owner, or the user who does not want it. */
export async function deleteInvitation(call: Call): Promise<Answer> {
  const name = call.qualified;
  const invitee = call.nameOrAddress('user');
  return call.store.transaction(ownerOf(name), async (store) => {
    const drive = await driveOf(store, name);
    if (!call.isOwner(drive) && invitee !== call.caller.name) throw notYours(name);
    if (!(await store.invitations(name)).has(invitee)) throw notFound('invitation', `${name}: ${invitee}`);
    await store.setInvitation(name, invitee, undefined);
    return { status: 200, body: {} };
  });
}
