// The certificate a node shows in TLS: self-signed, Ed25519, the same bytes for the same key. Nobody looks at names, dates or
// the signature's chain: the raw public key is what the other side checks. DER is written by hand; RFC 5280, RFC 8410.

import { createHash, sign } from 'node:crypto';
import type { Bytes } from '../../base/bytes.ts';
import { privateKeyObject } from '../../crypto/keys.ts';
import type { TransportIdentity } from '../runtime.ts';

const tags = {
  integer: 0x02,
  bitString: 0x03,
  objectId: 0x06,
  utf8: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
  version: 0xa0,
} as const;

const ed25519 = Buffer.from('2b6570', 'hex');
const commonName = Buffer.from('550403', 'hex');

function der(tag: keyof typeof tags, ...parts: readonly Bytes[]): Buffer {
  const body = Buffer.concat(parts);
  const length =
    body.length < 0x80
      ? [body.length]
      : body.length < 0x100
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tags[tag], ...length]), body]);
}

function name(text: string): Buffer {
  const attribute = der('sequence', der('objectId', commonName), der('utf8', Buffer.from(text)));
  return der('sequence', der('set', attribute));
}

/** The certificate and its private key, PEM. */
export function selfSigned(identity: TransportIdentity): { certificate: string; privateKey: string } {
  const privateKey = privateKeyObject(identity.seed);
  const algorithm = der('sequence', der('objectId', ed25519));
  const serial = createHash('sha256').update(identity.publicKey).digest().subarray(0, 16);
  // Positive and without leading zero, as serial numbers must be.
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40;
  const subject = name('infinit');
  const validity = der(
    'sequence',
    der('utcTime', Buffer.from('200101000000Z')),
    der('generalizedTime', Buffer.from('99991231235959Z')),
  );
  const publicKey = der('sequence', algorithm, der('bitString', Buffer.from([0]), identity.publicKey));
  const body = der(
    'sequence',
    der('version', der('integer', Buffer.from([2]))),
    der('integer', serial),
    algorithm,
    subject,
    validity,
    subject,
    publicKey,
  );
  const signature = sign(null, body, privateKey);
  const certificate = der('sequence', body, algorithm, der('bitString', Buffer.from([0]), signature));
  return {
    certificate: pem('CERTIFICATE', certificate),
    privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
