// Admission: what a node presents on each connection, and how it judges what others present. Everything is verified with the
// owner's key in the network's descriptor alone. Layout of the bytes: docs/formats.md (credentials).

import { type Bytes, equalBytes, fromBase64, toHex } from '../base/bytes.ts';
import { bytes, decode, encode, optional, struct, u8 } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { address, networkIdOf, nodeIdOf } from '../block/address.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { canonicalJson } from '../descriptor/canonical.ts';
import type { NetworkDescriptor, PassportDescriptor } from '../descriptor/descriptor.ts';
import { keyFromJson, sameKey, userHash } from '../descriptor/keys.ts';
import { passportExpiry, verifyPassport } from '../descriptor/rights.ts';
import { passportHash } from '../descriptor/signing.ts';
import { parseDescriptor } from '../descriptor/stream.ts';
import type { Clock, Log } from '../runtime/runtime.ts';
import {
  certify,
  type NodeKind,
  needsRenewal,
  type SignedCertificate,
  signedCertificate,
  verifyCertificate,
} from './certificate.ts';
import type { Admission, PeerIdentity } from './peer.ts';

const format = 1;
const credentials = struct({
  format: u8,
  /** Address of the network register, when the network is founded. */
  founding: optional(address),
  certificate: signedCertificate,
  /** Canonical JSON; holds the delegate's passport when a delegate signed. */
  passport: bytes(limits.passportBytesMax),
});

export interface AdmissionOptions {
  clock: Pick<Clock, 'now'>;
  log: Log;
  /** The latest descriptor known. */
  network: () => NetworkDescriptor;
  user: KeyPair;
  /** The node's own pair, or a client's session pair. */
  node: KeyPair;
  kind: NodeKind;
  /** Of this user; the owner's is his own. */
  passport: PassportDescriptor;
  /** Whether a passport was revoked; asked of a passport and of the delegate's it rests on, never of the owner's. */
  revoked?: (passport: PassportDescriptor) => boolean;
  /** Told of every identity admitted, with the passport it rests on; this node's own too. */
  admitted?: (identity: PeerIdentity, passport: PassportDescriptor) => void;
}

/** How a node of this network judges others, connected or only told of. */
export interface NetworkAdmission extends Admission {
  /**
   * Judges credentials that somebody else showed, for the node of that key: they prove who certified it, not that it is there.
   * Throws what `admit` throws.
   */
  certified(presented: Bytes, nodeKey: Bytes): PeerIdentity;
}

/** Throws `denied` when the passport would not admit this node itself. */
export function createAdmission(options: AdmissionOptions): NetworkAdmission {
  return new PassportAdmission(options);
}

interface Judged {
  identity: PeerIdentity;
  /** The one it rests on. */
  passport: PassportDescriptor;
}

class PassportAdmission implements NetworkAdmission {
  readonly self: PeerIdentity;
  private readonly options: AdmissionOptions;
  private readonly passportBytes: Buffer;
  private readonly networkId: Bytes;
  private readonly passports = new WeakMap<PeerIdentity, PassportDescriptor>();
  private certificate: SignedCertificate | undefined;

  constructor(options: AdmissionOptions) {
    this.options = options;
    const { owner, name } = options.network();
    this.networkId = networkIdOf(keyFromJson(owner), name);
    this.passportBytes = canonicalJson(options.passport);
    this.self = this.admitted(
      this.identify(options.node.publicKey, options.user.publicKey, options.kind, options.passport),
    );
  }

  present(): Buffer {
    const { clock, user, node, kind, network } = this.options;
    const now = clock.now();
    if (this.certificate === undefined || needsRenewal(this.certificate, now))
      this.certificate = certify(user, { nodeKey: node.publicKey, kind, networkId: this.networkId, now });
    return encode(credentials, {
      format,
      founding: foundingRegister(network()),
      certificate: this.certificate,
      passport: this.passportBytes,
    });
  }

  admit(presented: Bytes, remoteKey: Bytes): PeerIdentity {
    try {
      return this.admitted(this.verify(presented, remoteKey));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.options.log.write('debug', 'admission', reason, { node: toHex(nodeIdOf(remoteKey)).slice(0, 16) });
      throw error;
    }
  }

  certified(presented: Bytes, nodeKey: Bytes): PeerIdentity {
    return this.verify(presented, nodeKey).identity;
  }

  check(identity: PeerIdentity): void {
    const passport = this.passports.get(identity);
    if (passport === undefined) throw new InfinitError('denied', 'the peer was not admitted here');
    const expires = passportExpiry(passport);
    if (expires !== undefined && expires + limits.clockSkewMs <= this.options.clock.now())
      throw refused(passport, 'has expired');
    this.checkRevoked(passport);
  }

  private admitted({ identity, passport }: Judged): PeerIdentity {
    this.passports.set(identity, passport);
    this.options.admitted?.(identity, passport);
    return identity;
  }

  private verify(presented: Bytes, remoteKey: Bytes): Judged {
    if (presented.length > limits.presentedBytesMax) throw new InfinitError('corrupt', 'credentials are too long');
    if (presented[0] !== format)
      throw new InfinitError('corrupt', `credentials have unknown format ${presented[0] ?? 'none'}`);
    const { founding, certificate, passport } = decode(credentials, presented);
    const { userKey, kind } = certificate.body;
    const { clock, network } = this.options;
    verifyCertificate(certificate, { networkId: this.networkId, remoteKey, now: clock.now() });
    const known = foundingRegister(network());
    if (founding !== undefined && known !== undefined && !equalBytes(founding, known))
      throw new InfinitError('conflict', `device founded network "${network().name}" separately`);
    return this.identify(remoteKey, Buffer.from(userKey), kind, readPassport(passport));
  }

  /** The identity these rights give; also how this node judges itself. */
  private identify(nodeKey: Bytes, userKey: Bytes, kind: NodeKind, passport: PassportDescriptor): Judged {
    const network = this.options.network();
    if (!equalBytes(keyFromJson(passport.user), userKey)) throw refused(passport, 'is presented by another user');
    const rights = verifyPassport(network, passport, { now: this.options.clock.now() });
    this.checkRevoked(passport);
    if (kind === 'storage' && !rights.storage) throw refused(passport, 'does not allow storage nodes');
    const identity = { id: nodeIdOf(nodeKey), nodeKey, userKey, kind, rights, passportHash: passportHash(passport) };
    return { identity, passport };
  }

  private checkRevoked(passport: PassportDescriptor): void {
    const { revoked, network } = this.options;
    if (revoked === undefined || sameKey(passport.user, network().owner)) return;
    if (revoked(passport)) throw refused(passport, 'was revoked');
    const delegate = passport.certifier_passport;
    if (delegate !== undefined && revoked(delegate))
      throw refused(passport, 'rests on a delegate whose passport was revoked');
  }
}

/** One passport has one encoding: others are refused. */
function readPassport(presented: Bytes): PassportDescriptor {
  const passport = parseDescriptor('passport', presented);
  if (!equalBytes(canonicalJson(passport), presented))
    throw new InfinitError('corrupt', 'passport is not in canonical form');
  return passport;
}

function foundingRegister(network: NetworkDescriptor): Bytes | undefined {
  return network.founding === null ? undefined : fromBase64(network.founding.register);
}

function refused(passport: PassportDescriptor, what: string): InfinitError {
  return new InfinitError('denied', `passport of ${userHash(passport.user)} for network "${passport.network}" ${what}`);
}
