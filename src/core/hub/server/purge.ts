// What goes with a user or a network that is taken off the hub with `?purge`.

import { type HubStore, hubKinds } from '../hub.ts';

/** Passports, volumes and key-value stores of a network. */
export async function purgeNetwork(store: HubStore, network: string): Promise<void> {
  for (const kind of ['passport', 'volume', 'key-value-store'] as const) await store.deleteAll(kind, { network });
}

/** All that the user owns, with what hangs on it, and the passports others gave him. */
export async function purgeUser(store: HubStore, user: string): Promise<void> {
  for (const { name: network } of await store.list('network', { owner: user })) {
    await purgeNetwork(store, network);
    await store.forgetNodes({ network });
  }
  for (const kind of hubKinds) if (kind !== 'user') await store.deleteAll(kind, { owner: user });
  await store.deleteAll('passport', { user });
}
