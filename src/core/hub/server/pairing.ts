// Pairing of devices: one device of a user leaves his private key here, sealed under a passphrase, for another to take. Once, within
// minutes; the hub sees neither key nor passphrase.

import { limits } from '../../base/limits.ts';
import { sameKey } from '../../descriptor/keys.ts';
import { pairing } from '../bodies.ts';
import type { HubStore, SealedIdentity } from '../hub.ts';
import type { Answer, Call } from './call.ts';
import { notFound, Refusal, unauthorized } from './refusal.ts';

/** What waits for another device. Throws a refusal when there is nothing, or it has ended. */
export async function waitingPairing(store: HubStore, user: string, nowMs: number): Promise<SealedIdentity> {
  const known = await store.pairing(user);
  if (known === undefined) throw notFound('pairing information', user);
  if (known.sealed === undefined || known.until_ms <= nowMs)
    throw new Refusal(410, {
      error: 'pairing/gone',
      reason: `pairing information "${user}" is no longer available: transmit it again`,
      name: user,
    });
  return known.sealed;
}

/** Leaves the caller's key; an earlier one ends. */
export async function putPairing(call: Call): Promise<Answer> {
  const name = call.self();
  const sealed = call.fields(pairing);
  const until_ms = call.nowMs + limits.hubPairingMs;
  return call.store.transaction(name, async (store) => {
    const isNew = (await store.pairing(name)) === undefined;
    await store.setPairing(name, { sealed, until_ms });
    return isNew ? { status: 201, body: { result: 'created' } } : { status: 200, body: { result: 'updated' } };
  });
}

/** What the passphrase must be stretched with. */
export async function pairingParameters(call: Call): Promise<Answer> {
  const { salt, scrypt_n } = await waitingPairing(call.store, call.name('user'), call.nowMs);
  return { status: 200, body: { salt, scrypt_n } };
}

/** The request is signed with the pair the passphrase gives: the whole identity, once. */
export async function takePairing(call: Call): Promise<Answer> {
  const name = call.name('user');
  return call.store.transaction(name, async (store) => {
    const { login_key, sealed } = await waitingPairing(store, name, call.nowMs);
    // Another one may have been left since the signature was verified.
    if (!sameKey(login_key, call.caller.key)) throw wrongPassphrase(name);
    const user = await store.get('user', name);
    if (user === undefined) throw notFound('user', name);
    await store.setPairing(name, undefined);
    return { status: 200, body: { ...user, sealed } };
  });
}

/** For the user: 200 while it waits, 404 once it was taken, 410 once it has ended. */
export async function pairingStatus(call: Call): Promise<Answer> {
  await waitingPairing(call.store, call.self(), call.nowMs);
  return { status: 200, body: {} };
}

export function wrongPassphrase(user: string): Refusal {
  const { body } = unauthorized('the passphrase is not the one the identity was transmitted under');
  return new Refusal(401, { ...body, error: 'pairing/invalid_passphrase', name: user });
}
