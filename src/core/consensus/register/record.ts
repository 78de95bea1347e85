// The bytes of an acceptor's record in a silo: space `register`, key the register's address.

import type { Bytes } from '../../base/bytes.ts';
import { bool, bytes, decode, encode, list, optional, struct, u32, u64 } from '../../base/codec.ts';
import { limits } from '../../base/limits.ts';
import { member } from '../../block/address.ts';
import { formatted, type RegisterConfig, registerConfig } from '../../block/register.ts';
import { readImage } from '../../block/register-validity.ts';
import type { AcceptorRecord } from './acceptor.ts';
import { ballot } from './ballot.ts';

const storedRecord = formatted(
  1,
  struct({
    promised: ballot,
    accepted: optional(
      struct({
        ballot,
        state: bytes(limits.registerBatchBytesMax),
        /** Absent: the configuration of the state itself. */
        from: optional(registerConfig),
      }),
    ),
    committed: optional(struct({ ballot, version: u64, aclVersion: u32, deleted: bool })),
  }),
);

const storedStub = formatted(
  2,
  struct({ promised: ballot, generation: u32, current: list(member, limits.membersMax), since: u64 }),
);

/** `from` as it is written: left out when it is the state's own configuration. */
export function differentFrom(from: RegisterConfig, config: RegisterConfig): RegisterConfig | undefined {
  return from.generation === config.generation ? undefined : from;
}

export function encodeRecord({ promised, accepted, committed, stub }: AcceptorRecord): Buffer {
  if (stub && !accepted) return encode(storedStub, { promised, ...stub, current: [...stub.current] });
  return encode(storedRecord, {
    promised,
    accepted: accepted && {
      ballot: accepted.ballot,
      state: accepted.image.bytes,
      from: differentFrom(accepted.from, accepted.image.state.config),
    },
    committed,
  });
}

/** Throws `corrupt`, `unsupported`. What a store wrote itself was verified before. */
export function decodeRecord(networkId: Bytes, stored: Bytes): AcceptorRecord {
  if (stored[0] === 2) {
    const { promised, ...stub } = decode(storedStub, stored);
    return { promised, accepted: undefined, committed: undefined, stub };
  }
  const { promised, accepted, committed } = decode(storedRecord, stored);
  if (!accepted) return { promised, accepted: undefined, committed };
  const image = readImage(networkId, accepted.state);
  const from = accepted.from ?? image.state.config;
  return { promised, accepted: { ballot: accepted.ballot, image, from }, committed };
}
