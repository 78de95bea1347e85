// What goes with a user, a network, a volume or a drive that is taken off the hub.

import { type HubStore, hubKinds } from '../hub.ts';

/** A drive, its icon, and who is invited to it. */
export async function removeDrive(store: HubStore, drive: string): Promise<boolean> {
  for (const user of (await store.invitations(drive)).keys()) await store.setInvitation(drive, user, undefined);
  await store.setPicture(drive, undefined);
  return store.delete('drive', drive);
}

/** Drives of a volume. */
export async function purgeVolume(store: HubStore, network: string, volume: string): Promise<void> {
  for (const { name, descriptor } of await store.list('drive', { network }))
    if (descriptor.volume === volume) await removeDrive(store, name);
}

/** Passports, volumes, key-value stores and drives of a network. */
export async function purgeNetwork(store: HubStore, network: string): Promise<void> {
  for (const { name } of await store.list('drive', { network })) await removeDrive(store, name);
  for (const kind of ['passport', 'volume', 'key-value-store'] as const) await store.deleteAll(kind, { network });
}

/** All that the user owns, with what hangs on it, the passports others gave him, and invitations. */
export async function purgeUser(store: HubStore, user: string): Promise<void> {
  for (const { name: network } of await store.list('network', { owner: user })) {
    await purgeNetwork(store, network);
    await store.forgetNodes({ network });
  }
  for (const { name } of await store.list('drive', { owner: user })) await removeDrive(store, name);
  for (const kind of hubKinds) if (kind !== 'user') await store.deleteAll(kind, { owner: user });
  await store.deleteAll('passport', { user });
  for (const drive of await store.invitedTo(user)) await store.setInvitation(drive, user, undefined);
}
