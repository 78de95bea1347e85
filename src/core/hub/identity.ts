// A user's private key on the hub: sealed on the device under a key stretched from a password, so that the hub sees neither. The
// password gives a second, independent pair whose public half the hub keeps: only who knows the password can sign for the sealed
// key and is given it. Whoever has the hub's database can still guess passwords, at the cost of scrypt each. Pairing of devices is
// the same for some minutes, under a passphrase; a password and a passphrase that are equal give different keys.

import { type Bytes, fromBase64, toBase64, utf8 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { nonceBytes, open, seal, tagBytes } from '../crypto/cipher.ts';
import { type KeyPair, keyPairFromSeed, seedBytes } from '../crypto/keys.ts';
import { stretch } from '../crypto/password.ts';
import type { Random } from '../runtime/runtime.ts';
import type { Identity, SealedIdentity } from './hub.ts';

/** 128 MiB and about 0.4 s. A hub that asks for less would make guessing cheap: refused. */
const scryptN = 2 ** 17;
const scryptNMax = 2 ** 20;
export const sealedSeedBytes = nonceBytes + seedBytes + tagBytes;

/** Whether a cost is one this program accepts. */
export function isLogN(n: number): boolean {
  return n >= scryptN && n <= scryptNMax && Number.isInteger(Math.log2(n));
}

/** What a key is left on the hub for. */
export type SealedFor = 'identity' | 'pairing';

export interface PasswordKeys {
  /** Signs for the sealed key. */
  login: KeyPair;
  /** Seals the user's seed. */
  sealing: Buffer;
}

/** Two independent keys of a password. Takes about 0.4 s, not of this thread. Throws `corrupt` for a cost out of bounds. */
export async function passwordKeys(
  user: string,
  password: string,
  { salt, scrypt_n }: Pick<Identity, 'salt' | 'scrypt_n'>,
  purpose: SealedFor = 'identity',
): Promise<PasswordKeys> {
  if (!isLogN(scrypt_n)) throw new InfinitError('corrupt', `the hub asks for a password cost of ${scrypt_n}`);
  const salted = Buffer.concat([associated(user, purpose), utf8('\0'), fromBase64(salt)]);
  const stretched = await stretch(password, salted, { n: scrypt_n, bytes: 64 });
  return { login: keyPairFromSeed(stretched.subarray(0, 32)), sealing: stretched.subarray(32) };
}

/** What the hub keeps. Without a seed the hub knows the password by its login key only. */
export async function makeIdentity(
  random: Random,
  user: string,
  password: string,
  seed: Uint8Array | undefined,
): Promise<Identity> {
  const { identity, sealing } = await passwordPart(random, user, password, 'identity');
  return seed === undefined ? identity : { ...identity, sealed: sealedSeed(random, user, sealing, seed, 'identity') };
}

/** The same for another device, under a passphrase. */
export async function makePairing(
  random: Random,
  user: string,
  passphrase: string,
  seed: Uint8Array,
): Promise<SealedIdentity> {
  const { identity, sealing } = await passwordPart(random, user, passphrase, 'pairing');
  return { ...identity, sealed: sealedSeed(random, user, sealing, seed, 'pairing') };
}

async function passwordPart(random: Random, user: string, password: string, purpose: SealedFor) {
  const cost = { salt: toBase64(random.bytes(16)), scrypt_n: scryptN };
  const { login, sealing } = await passwordKeys(user, password, cost, purpose);
  const identity: Identity = { ...cost, login_key: { ed25519: toBase64(login.publicKey) } };
  return { identity, sealing };
}

function sealedSeed(random: Random, user: string, sealing: Bytes, seed: Bytes, purpose: SealedFor): string {
  const nonce = random.bytes(nonceBytes);
  return toBase64(Buffer.concat([nonce, seal(sealing, nonce, seed, associated(user, purpose))]));
}

/** The seed of the user's key. Throws `denied` when the password is another. */
export function openIdentity(
  user: string,
  sealing: Uint8Array,
  sealed: string,
  purpose: SealedFor = 'identity',
): Buffer {
  const bytes = fromBase64(sealed);
  if (bytes.length !== sealedSeedBytes) throw new InfinitError('corrupt', 'the sealed key has not its length');
  try {
    return open(sealing, bytes.subarray(0, nonceBytes), bytes.subarray(nonceBytes), associated(user, purpose));
  } catch (cause) {
    throw new InfinitError('denied', 'the sealed key does not open with this password', { cause });
  }
}

function associated(user: string, purpose: SealedFor): Buffer {
  return utf8(`infinit/hub-${purpose}\0${user}`);
}
