// The hub's own user. Where the owner of a network gave it a passport that allows creating passports, it lets in whom he (or another
// who may let people in) invited by e-mail, once the address is somebody's. Its key is the hub's alone, in the database, so that all
// processes of one hub are the same user.

import { keyPairFromSeed, seedBytes } from '../../crypto/keys.ts';
import type { NetworkDescriptor, PassportDescriptor, UserDescriptor } from '../../descriptor/descriptor.ts';
import { keyToJson, sameKey } from '../../descriptor/keys.ts';
import { delegatedPassport } from '../../descriptor/passports.ts';
import { type PassportRights, restsOnRevoked, verifyPassport } from '../../descriptor/rights.ts';
import type { Random } from '../../runtime/runtime.ts';
import { delegateName, type HubStore } from '../hub.ts';
import { type Call, rightsOf } from './call.ts';
import { checkPassportRoom, ownerOf } from './descriptors.ts';
import { forbidden, notFound } from './refusal.ts';

/** Makes the user `hub` known, with its key drawn at the first start. */
export async function enrolDelegate(store: HubStore, random: Random): Promise<void> {
  const { publicKey } = await delegateKey(store, random);
  const user: UserDescriptor = { name: delegateName, public_key: keyToJson(publicKey) };
  const known = await store.get('user', delegateName);
  if (known === undefined || !sameKey(known.public_key, user.public_key)) await store.put('user', delegateName, user);
}

async function delegateKey(store: HubStore, random: Random) {
  return keyPairFromSeed(await store.delegateSeed(random.bytes(seedBytes)));
}

/** The delegate's passport. Throws 404 when it was given none, 403 when that does not let it create passports any more. */
export async function delegatePassport(
  store: HubStore,
  network: NetworkDescriptor,
  nowMs: number,
): Promise<PassportDescriptor> {
  const name = `${network.name}/${delegateName}`;
  const passport = await store.get('passport', name);
  if (passport === undefined) throw notFound('passport', name);
  const isGood = !restsOnRevoked(network, passport) && verifyPassport(network, passport, { now: nowMs }).sign;
  if (!isGood) throw forbidden('passport', name, `Missing --allow-create-passport flag for ${delegateName}`);
  return passport;
}

/** Sees to it that the user has a passport, with no more rights than whoever invited him. */
export async function letIn(
  call: Call,
  network: NetworkDescriptor,
  user: UserDescriptor,
  inviter: PassportRights,
): Promise<void> {
  const holder = { name: user.name, key: user.public_key };
  await call.store.transaction(ownerOf(network.name), async (store) => {
    if ((await rightsOf(store, network, holder, call.nowMs)) !== undefined) return;
    const name = `${network.name}/${user.name}`;
    const before = await store.get('passport', name);
    if (before === undefined) await checkPassportRoom(call, store, network, user.name);
    const own = await delegatePassport(store, network, call.nowMs);
    const passport = delegatedPassport(call.random, await delegateKey(store, call.random), network, own, {
      user: user.public_key,
      rights: { ...inviter, sign: false },
      previous: before?.serial ?? 0,
      now: call.nowMs,
    });
    await store.put('passport', name, passport);
  });
}

/** What the owner of a drive may do in its network, who invites by e-mail: to let people in is to create passports. */
export async function inviterRights(
  call: Call,
  network: NetworkDescriptor,
  owner: { name: string; key: UserDescriptor['public_key'] },
): Promise<PassportRights> {
  const rights = await rightsOf(call.store, network, owner, call.nowMs);
  if (rights?.sign) return rights;
  throw forbidden('network', network.name, `"${owner.name}" may not let others into network "${network.name}"`);
}
