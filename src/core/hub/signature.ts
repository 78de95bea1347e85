// How a request is signed: Ed25519 over method, host, path, query, hash of the body, time, nonce and user. The hub takes each nonce
// once and times near its own only, so a request that somebody saw is worth nothing. Layout: docs/hub.md.

import { fromBase64, isBase64, toBase64, utf8 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { hash } from '../crypto/hash.ts';
import { type KeyPair, sign, verify } from '../crypto/keys.ts';
import { isName } from '../descriptor/names.ts';
import type { HubRequest } from './hub.ts';

const label = 'hub-request';
const nonceBytes = 16;

type Signable = Pick<HubRequest, 'method' | 'host' | 'path' | 'query' | 'body'>;

/** What the headers of a signed request say; nothing of it is proved yet. */
export interface Claim {
  user: string;
  /** Seconds since 1970. */
  timeS: number;
  nonce: string;
  signature: Buffer;
}

/** The headers that sign a request. `nonce` is 16 fresh random bytes. */
export function signRequest(
  request: Signable,
  user: string,
  key: KeyPair,
  { nowMs, nonce }: { nowMs: number; nonce: Uint8Array },
): Record<string, string> {
  const claim = { user, timeS: Math.floor(nowMs / 1000), nonce: toBase64(nonce) };
  return {
    'infinit-user': user,
    'infinit-time': String(claim.timeS),
    'infinit-nonce': claim.nonce,
    'infinit-signature': toBase64(sign(key, label, signedText(request, claim))),
  };
}

/** What the request claims; undefined when it is not signed. Throws `denied` when its headers are no such claim. */
export function claimOf({ headers }: Pick<HubRequest, 'headers'>): Claim | undefined {
  const user = headers['infinit-user'];
  const time = headers['infinit-time'];
  const nonce = headers['infinit-nonce'];
  const signature = headers['infinit-signature'];
  if (signature === undefined) return undefined;
  if (user === undefined || !isName(user)) throw malformed('infinit-user');
  if (time === undefined || !/^\d{1,12}$/.test(time)) throw malformed('infinit-time');
  if (nonce === undefined || !isBase64(nonce, nonceBytes)) throw malformed('infinit-nonce');
  if (!isBase64(signature, 64)) throw malformed('infinit-signature');
  return { user, timeS: Number(time), nonce, signature: fromBase64(signature) };
}

/** Whether the claim is near that time, either way. */
export function isTimely(claim: Claim, nowMs: number): boolean {
  return Math.abs(claim.timeS * 1000 - nowMs) <= limits.hubClockSkewMs;
}

/** Until when the nonce must be remembered: after that the claim is not timely any more. */
export function nonceEndMs(claim: Claim): number {
  return claim.timeS * 1000 + limits.hubClockSkewMs + 1000;
}

/** Whether that key signed this very request. */
export function isSignedBy(publicKey: Uint8Array, claim: Claim, request: Signable): boolean {
  return verify(publicKey, claim.signature, label, signedText(request, claim));
}

/** No part can hold a line break: lines keep them apart. */
function signedText(request: Signable, { user, timeS, nonce }: Omit<Claim, 'signature'>): Buffer {
  const { method, host, path, query, body } = request;
  return utf8([method, host, path, query, toBase64(hash(body)), timeS, nonce, user].join('\n'));
}

function malformed(header: string): InfinitError {
  return new InfinitError('denied', `header ${header} is missing or malformed`);
}
