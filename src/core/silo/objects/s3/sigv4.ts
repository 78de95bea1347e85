// Signature version 4 of Amazon Web Services, for S3 and what is compatible with it: the headers that sign one request.

import { toHex, utf8 } from '../../../base/bytes.ts';
import { isoTime } from '../../../base/time.ts';
import { hash, hmac } from '../../../crypto/hash.ts';

export interface SigningKey {
  accessKeyId: string;
  secretAccessKey: string;
  /** Of temporary credentials. */
  sessionToken?: string | undefined;
  region: string;
}

export interface Signable {
  method: string;
  url: URL;
  /** Sent and signed besides `host` and those added here; names in lower case. */
  headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body in hexadecimal. */
  bodyHash: string;
}

const algorithm = 'AWS4-HMAC-SHA256';

/** All headers to send but `host`, which the client sets from the address. `now`: milliseconds since 1970. */
export function signedHeaders({ method, url, headers, bodyHash }: Signable, key: SigningKey, now: number) {
  const time = timestamp(now);
  const scope = `${time.slice(0, 8)}/${key.region}/s3/aws4_request`;
  const sent: Record<string, string> = {
    ...headers,
    'x-amz-content-sha256': bodyHash,
    'x-amz-date': time,
    ...(key.sessionToken !== undefined && { 'x-amz-security-token': key.sessionToken }),
  };
  const all = Object.entries({ ...sent, host: url.host }).sort(([a], [b]) => (a < b ? -1 : 1));
  const names = all.map(([name]) => name).join(';');
  const canonical = [
    method,
    url.pathname,
    canonicalQuery(url),
    ...all.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, ' ')}`),
    '',
    names,
    bodyHash,
  ].join('\n');
  const toSign = [algorithm, time, scope, toHex(hash(utf8(canonical)))].join('\n');
  const signature = toHex(hmac(derivedKey(key, time.slice(0, 8)), utf8(toSign)));
  const authorization = `${algorithm} Credential=${key.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return { ...sent, authorization };
}

function derivedKey({ secretAccessKey, region }: SigningKey, day: string): Buffer {
  return [day, region, 's3', 'aws4_request'].reduce(
    (key, part) => hmac(key, utf8(part)),
    utf8(`AWS4${secretAccessKey}`) as Buffer,
  );
}

function canonicalQuery(url: URL): string {
  return [...url.searchParams]
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .sort()
    .join('&');
}

/** As RFC 3986 has it, which leaves fewer characters alone than JavaScript does. */
export function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `20150830T123600Z`. */
export function timestamp(now: number): string {
  return isoTime(now).replace(/[-:]|\.\d+/g, '');
}
