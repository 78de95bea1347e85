// Between the messages of the protocol cores, which hold decoded states, and those on the wire, which hold bytes.

import { type Bytes, equalBytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Address } from '../../block/address.ts';
import type { StateImage } from '../../block/register-validity.ts';
import type { Entry, Evidence, Message, Reply, WireEntry, WireMessage, WireReply } from './messages.ts';
import { differentFrom } from './record.ts';

export function messageToWire(message: Message): WireMessage {
  switch (message.type) {
    case 'prepare':
      return { ...message, evidence: message.evidence && evidenceToWire(message.evidence) };
    case 'accept': {
      const { ballot, image, from, next } = message;
      return { type: 'accept', ballot, state: image.bytes, from: differentFrom(from, image.state.config), next };
    }
    default:
      return message;
  }
}

/** Throws `corrupt` for states that do not decode or are of another address; verifying them is the acceptor's part. */
export function messageFromWire(address: Address, wire: WireMessage, read: (bytes: Bytes) => StateImage): Message {
  const readHere = (bytes: Bytes) => imageAt(address, bytes, read);
  switch (wire.type) {
    case 'prepare':
      if (!wire.evidence) return { ...wire, evidence: undefined };
      return { ...wire, evidence: evidenceFromWire(wire.evidence, readHere) };
    case 'accept': {
      const image = readHere(wire.state);
      return { type: 'accept', ballot: wire.ballot, image, from: wire.from ?? image.state.config, next: wire.next };
    }
    default:
      return wire;
  }
}

function evidenceToWire({
  ballot,
  image,
  from,
}: Evidence): NonNullable<(WireMessage & { type: 'prepare' })['evidence']> {
  return { ballot, state: image.bytes, from: differentFrom(from, image.state.config) };
}

function evidenceFromWire(
  { ballot, state, from }: NonNullable<(WireMessage & { type: 'prepare' })['evidence']>,
  read: (bytes: Bytes) => StateImage,
): Evidence {
  const image = read(state);
  return { ballot, image, from: from ?? image.state.config };
}

/** Leaves the state out when the asker said that it has it. */
export function replyToWire(reply: Reply, known: Bytes | undefined): WireReply {
  if (reply.type === 'entry') return { ...reply, entry: entryToWire(reply.entry, known) };
  if (reply.type === 'promise') return { ...reply, entry: reply.entry && entryToWire(reply.entry, known) };
  return reply;
}

function entryToWire({ ballot, image, from }: Entry, known: Bytes | undefined): WireEntry {
  const state = known && equalBytes(known, image.hash) ? undefined : image.bytes;
  return { ballot, hash: image.hash, state, from: differentFrom(from, image.state.config) };
}

/** Throws `corrupt`, `denied` when a state does not verify (by `read`) or is not the one named. */
export function replyFromWire(
  address: Address,
  wire: WireReply,
  known: StateImage | undefined,
  read: (bytes: Bytes) => StateImage,
): Reply {
  const entryFromWire = ({ ballot, hash, state, from }: WireEntry): Entry => {
    const image = state ? imageAt(address, state, read) : known;
    if (!image || !equalBytes(image.hash, hash))
      throw new InfinitError('corrupt', 'register state is not the one that was named');
    return { ballot, image, from: from ?? image.state.config };
  };
  if (wire.type === 'entry') return { ...wire, entry: entryFromWire(wire.entry) };
  if (wire.type === 'promise') return { ...wire, entry: wire.entry && entryFromWire(wire.entry) };
  return wire;
}

function imageAt(address: Address, bytes: Bytes, read: (bytes: Bytes) => StateImage): StateImage {
  const image = read(bytes);
  if (!equalBytes(image.address, address)) throw new InfinitError('corrupt', 'register state is of another address');
  return image;
}
