// What stands in a register: the access list signed by the owner, the value signed by its author, and the configuration of
// members that agree on it (docs/protocols.md 2.1). How it is signed and checked: `register-validity.ts`.

import type { Bytes } from '../base/bytes.ts';
import { bool, bytes, type Codec, fixed, list, optional, struct, u8, u32, u64 } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { hashBytes } from '../crypto/hash.ts';
import { publicKeyBytes, signatureBytes } from '../crypto/keys.ts';
import { type Member, member } from './address.ts';

/** A key of the register's data sealed to one reader. */
export interface Reader {
  key: Bytes;
  sealed: Bytes;
}

/** Who may read and write; versioned and signed by the owner apart from the value. */
export interface AccessList {
  version: number;
  owner: Bytes;
  /** The data key sealed to each reader; the owner is one of them. Empty when the payload is in the clear. */
  readers: Reader[];
  /** Users beside the owner that may write. */
  writers: Bytes[];
  /** The data key sealed to the members key of the network: every passport holder reads. */
  worldReader: Bytes | undefined;
  /** Every passport that allows writing may write. */
  worldWrite: boolean;
  /** Of the owner over network, address and all of the above. */
  signature: Bytes;
}

/** A list before its owner has signed it: the signature covers the register's address. */
export type UnsignedAccess = Omit<AccessList, 'signature'>;

/** The first list of a register in the clear: everybody reads, its owner writes, and with `worldWrite` who may write in the network. */
export function accessInClear(owner: Bytes, worldWrite = false): UnsignedAccess {
  return { version: 1, owner, readers: [], writers: [], worldReader: undefined, worldWrite };
}

export const accessList: Codec<AccessList> = struct({
  version: u32,
  owner: fixed(publicKeyBytes),
  readers: list(struct({ key: fixed(publicKeyBytes), sealed: bytes(256) }), limits.accessUsersMax),
  writers: list(fixed(publicKeyBytes), limits.accessUsersMax),
  worldReader: optional(bytes(256)),
  worldWrite: bool,
  signature: fixed(signatureBytes),
});

/** One signature for up to `limits.registerBatchMax` things: the root of a Merkle tree is signed, each leaf keeps its path. */
export interface BatchSignature {
  signature: Bytes;
  /** Place of the leaf, from 0. */
  index: number;
  /** Siblings from the leaf to the root; empty for a batch of one. */
  path: Bytes[];
}

export const batchSignature: Codec<BatchSignature> = struct({
  signature: fixed(signatureBytes),
  index: u8,
  path: list(fixed(hashBytes), Math.log2(limits.registerBatchMax)),
});

/** One version of what a register says. */
export interface RegisterValue {
  /** 1 for the first. */
  version: number;
  /** Hashes of the versions before, newest first, as many as there were up to `limits.lineageMax`. */
  lineage: Bytes[];
  /** The access list its author wrote under: that of the state. */
  aclVersion: number;
  payload: Bytes;
  /** Once true it stays so. */
  deleted: boolean;
  author: Bytes;
  /** Names the passport by which the author may write in this network. */
  passportHash: Bytes;
  /** Of the author over network, address and all of the above. */
  signature: BatchSignature;
}

export const registerValue: Codec<RegisterValue> = struct({
  version: u64,
  lineage: list(fixed(hashBytes), limits.lineageMax),
  aclVersion: u32,
  payload: bytes(limits.registerPayloadBytesMax),
  deleted: bool,
  author: fixed(publicKeyBytes),
  passportHash: fixed(hashBytes),
  signature: batchSignature,
});

/** Who votes. While `previous` is there the configuration is joint: majorities of both sets are needed. */
export interface RegisterConfig {
  /** Counts configurations from 0. */
  generation: number;
  current: Member[];
  previous: Member[] | undefined;
}

export const registerConfig: Codec<RegisterConfig> = struct({
  generation: u32,
  current: list(member, limits.membersMax),
  previous: optional(list(member, limits.membersMax)),
});

/** What makes an address a register: only its owner can sign it, and the salt gives the address. */
export interface Genesis {
  salt: Bytes;
  members: Member[];
  /** Its owner made a new genesis when a majority of its members was lost for good (docs/protocols.md 2.11). */
  recovery?: Recovery | undefined;
  /** Of the owner over network, address, members, and the recovery when there is one. */
  signature: Bytes;
}

export interface Recovery {
  /** Of the first configuration after it, whose members are those of the genesis. */
  generation: number;
  /** Of the value it went on from. */
  valueHash: Bytes;
  /** Members that were given up: they have no say any more, should they come back. */
  lost: Member[];
}

export const recovery: Codec<Recovery> = struct({
  generation: u32,
  valueHash: fixed(hashBytes),
  lost: list(member, 2 * limits.membersMax),
});

export const genesis: Codec<Omit<Genesis, 'recovery'>> = struct({
  salt: bytes(32),
  members: list(member, limits.membersMax),
  signature: fixed(signatureBytes),
});

/** The agreed state S of docs/protocols.md 2.1. */
export interface RegisterState {
  config: RegisterConfig;
  access: AccessList;
  genesis: Genesis;
  value: RegisterValue;
}

const stateFields = { config: registerConfig, access: accessList, genesis, value: registerValue };
const founded = struct(stateFields);
const recovered = struct({ recovery, ...stateFields });

/** Format 2 is that of registers their owners have recovered. */
export const registerState: Codec<RegisterState> = {
  write: (w, { genesis: { recovery: last, ...genesis }, ...state }) => {
    w.u8(last === undefined ? 1 : 2);
    if (last === undefined) founded.write(w, { ...state, genesis });
    else recovered.write(w, { ...state, genesis, recovery: last });
  },
  read: (r) => {
    const format = r.u8();
    if (format === 1) return founded.read(r);
    if (format !== 2) throw new InfinitError('unsupported', `format ${format} is not known here`);
    const { recovery: last, genesis, ...state } = recovered.read(r);
    return { ...state, genesis: { ...genesis, recovery: last } };
  },
};

/** A codec behind a format byte; bytes of another format are `unsupported`, never misread. */
export function formatted<T>(format: number, inner: Codec<T>): Codec<T> {
  return {
    write: (w, v) => {
      w.u8(format);
      inner.write(w, v);
    },
    read: (r) => {
      const found = r.u8();
      if (found !== format) throw new InfinitError('unsupported', `format ${found} is not known here`);
      return inner.read(r);
    },
  };
}
