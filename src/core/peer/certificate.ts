// Certificates: a user's signature that a node key acts for him in one network, as a storage node or as a client session.
// Short-lived, because a session key is worth less care than the user's own; renewed by who holds the user's key.

import { type Bytes, equalBytes } from '../base/bytes.ts';
import { type Codec, type CodecType, encode, fixed, oneOf, struct, u48 } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { address } from '../block/address.ts';
import { type KeyPair, publicKeyBytes, sign, signatureBytes, verify } from '../crypto/keys.ts';

const body = struct({
  nodeKey: fixed(publicKeyBytes),
  userKey: fixed(publicKeyBytes),
  kind: oneOf(['storage', 'client']),
  networkId: address,
  /** Milliseconds since 1970. */
  issued: u48,
  expires: u48,
});

export type Certificate = CodecType<typeof body>;
export type NodeKind = Certificate['kind'];

export interface SignedCertificate {
  body: Certificate;
  signature: Bytes;
}
export const signedCertificate: Codec<SignedCertificate> = struct({ body, signature: fixed(signatureBytes) });

const lifetimeMs: { [K in NodeKind]: number } = {
  storage: limits.storageCertificateMs,
  client: limits.clientCertificateMs,
};

export interface CertifyOptions {
  nodeKey: Bytes;
  kind: NodeKind;
  networkId: Bytes;
  /** Milliseconds since 1970. */
  now: number;
}

export function certify(user: KeyPair, { nodeKey, kind, networkId, now }: CertifyOptions): SignedCertificate {
  const issued = Math.max(0, Math.floor(now));
  const certificate = { nodeKey, userKey: user.publicKey, kind, networkId, issued, expires: issued + lifetimeMs[kind] };
  return { body: certificate, signature: sign(user, 'node-certificate', encode(body, certificate)) };
}

/** Half of its life is over, or the clock went back before its beginning. */
export function needsRenewal({ body: { issued, expires } }: SignedCertificate, now: number): boolean {
  return now < issued || now >= issued + (expires - issued) / 2;
}

/** Throws `denied` naming the check that failed. `remoteKey` is the key the connection proved. */
export function verifyCertificate(
  signed: SignedCertificate,
  expected: { networkId: Bytes; remoteKey: Bytes; now: number },
): void {
  const { nodeKey, userKey, kind, networkId, issued, expires } = signed.body;
  const refuse = (what: string) => new InfinitError('denied', `the peer ${what}`);
  if (!equalBytes(networkId, expected.networkId)) throw refuse('is of another network');
  if (!equalBytes(nodeKey, expected.remoteKey)) throw refuse('presents the certificate of another node');
  if (!verify(userKey, signed.signature, 'node-certificate', encode(body, signed.body)))
    throw refuse('presents a certificate that its user did not sign');
  if (expires < issued || expires - issued > lifetimeMs[kind])
    throw refuse('presents a certificate of invalid duration');
  if (issued > expected.now + limits.clockSkewMs)
    throw refuse('presents a certificate from the future: check the clocks of both devices');
  if (expires + limits.clockSkewMs <= expected.now) throw refuse('presents an expired certificate');
}
