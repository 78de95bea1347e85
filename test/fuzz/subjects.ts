// Good things to begin with: a network with its owner and a member, what they sign, made once from fixed keys.

import { fromBase64, toBase64, utf8 } from '../../src/core/base/bytes.ts';
import { networkIdOf, registerAddress } from '../../src/core/block/address.ts';
import type { RegisterState } from '../../src/core/block/register.ts';
import { signBatch } from '../../src/core/block/register-batch.ts';
import {
  imageOf,
  registerValueHash,
  signAccessList,
  signGenesis,
  signRecovery,
} from '../../src/core/block/register-validity.ts';
import { hash } from '../../src/core/crypto/hash.ts';
import { type KeyPair, keyPairFromSeed } from '../../src/core/crypto/keys.ts';
import { boxKeyPair, sealTo } from '../../src/core/crypto/sealed-box.ts';
import type { NetworkDescriptor, PassportDescriptor } from '../../src/core/descriptor/descriptor.ts';
import { passportHash, signNetwork, signPassport } from '../../src/core/descriptor/signing.ts';

export const now = 1_767_225_600_000;

export function keyOf(name: string): KeyPair {
  return keyPairFromSeed(hash(utf8(name)));
}

export const owner = keyOf('owner');
export const delegate = keyOf('delegate');
export const member = keyOf('member');

function json(pair: KeyPair): { ed25519: string } {
  return { ed25519: toBase64(pair.publicKey) };
}

export const network: NetworkDescriptor = signNetwork(owner, {
  name: 'alice/cluster',
  owner: json(owner),
  version: '1.0.0',
  serial: 3,
  consensus: { type: 'paxos', 'replication-factor': 3, 'eviction-delay': 600_000 },
  overlay: { type: 'chord' },
  encrypt_options: { encrypt_at_rest: true, encrypt_rpc: true, validate_signatures: true },
  members_key: toBase64(boxKeyPair(hash(utf8('members'))).publicKey),
  members_salt: toBase64(Buffer.alloc(16, 7)),
  founding: {
    register: toBase64(Buffer.alloc(32, 1)),
    node: toBase64(Buffer.alloc(32, 2)),
    store: toBase64(Buffer.alloc(8, 3)),
  },
  description: 'line\nline',
  peers: ['[::1]:4000'],
});
export const networkId = networkIdOf(owner.publicKey, network.name);
export const foundingRegister = fromBase64(network.founding?.register ?? '');

function passportOf(user: KeyPair, signer: KeyPair, changes: Partial<PassportDescriptor>): PassportDescriptor {
  return signPassport(signer, {
    user: json(user),
    network: network.name,
    allow_write: true,
    allow_storage: false,
    allow_sign: false,
    serial: 5,
    members_key: toBase64(sealTo(user.publicKey, hash(utf8('members')), hash(utf8('once')))),
    ...changes,
  });
}

const delegatePassport = passportOf(delegate, owner, { allow_sign: true, expires: now + 3_600_000 });
/** Signed by the delegate; its own passport comes with it. */
export const passport: PassportDescriptor = {
  ...passportOf(member, delegate, { certifier: json(delegate), expires: now + 7_200_000 }),
  certifier_passport: delegatePassport,
};

/** Version `version` of the register of that salt, written by the member. */
export function registerStateOf(salt: Buffer, version: number, payload?: Buffer): RegisterState {
  const address = registerAddress(owner.publicKey, salt);
  const members = [1, 2, 3].map((i) => ({ node: Buffer.alloc(32, i), store: Buffer.alloc(8, i) }));
  const access = signAccessList(owner, networkId, address, {
    version: 2,
    owner: owner.publicKey,
    readers: [{ key: member.publicKey, sealed: Buffer.alloc(81, 9) }],
    writers: [member.publicKey],
    worldReader: undefined,
    worldWrite: false,
  });
  const value = {
    version,
    lineage: Array.from({ length: Math.min(version - 1, 16) }, (_, i) => hash(utf8(`before ${version - i}`))),
    aclVersion: 2,
    payload: payload ?? utf8(`payload ${version}`),
    deleted: false,
    author: member.publicKey,
    passportHash: passportHash(passport),
  };
  const leaf = registerValueHash(networkId, address, value, access);
  const [, signature] = signBatch(member, [hash(utf8('another')), leaf, hash(utf8('third'))]);
  if (signature === undefined) throw new Error('a batch of three has three signatures');
  return {
    config: { generation: 0, current: members, previous: undefined },
    access,
    genesis: signGenesis(owner, networkId, salt, members),
    value: { ...value, signature },
  };
}

/** The same, begun anew by its owner with two of its members. */
export function recoveredState(state: RegisterState): RegisterState {
  const { salt, members } = state.genesis;
  const address = registerAddress(owner.publicKey, salt);
  const valueHash = registerValueHash(networkId, address, state.value, state.access);
  const last = { generation: 1000, valueHash, lost: members.slice(2) };
  const genesis = signRecovery(owner, networkId, salt, members.slice(0, 2), last);
  return { ...state, config: { generation: 1000, current: genesis.members, previous: undefined }, genesis };
}

export function imageOfState(state: RegisterState) {
  return imageOf(networkId, registerAddress(owner.publicKey, state.genesis.salt), state);
}
