// Invitations to an e-mail address go over to the user who confirms it.

import type { UserDescriptor } from '../../descriptor/descriptor.ts';
import type { Call } from './call.ts';
import { inviterRights, letIn } from './delegate.ts';
import { ownerOf } from './descriptors.ts';
import { driveOf } from './drives.ts';
import { refusalOf } from './refusal.ts';

/**
 * Lets the user into the networks and offers him the drives. What cannot be done now (the delegate's or the inviter's passport has
 * ended, say) stays offered to the address: the owner sees it so, and offers again.
 */
export async function claimInvitations(call: Call, user: UserDescriptor, address: string): Promise<void> {
  for (const drive of await call.store.invitedTo(address)) {
    try {
      await claim(call, drive, user, address);
    } catch (thrown) {
      if (refusalOf(thrown).status >= 500) throw thrown;
    }
  }
}

async function claim(call: Call, name: string, user: UserDescriptor, address: string): Promise<void> {
  const drive = await driveOf(call.store, name);
  const network = await call.network(drive.network);
  const inviter = { name: ownerOf(name), key: drive.owner };
  await letIn(call, network, user, await inviterRights(call, network, inviter));
  await call.store.transaction(ownerOf(name), async (store) => {
    const known = await store.invitations(name);
    const offer = known.get(address);
    if (offer === undefined) return;
    await store.setInvitation(name, address, undefined);
    if (user.name !== inviter.name && !known.has(user.name)) await store.setInvitation(name, user.name, offer);
  });
}
