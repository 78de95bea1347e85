// A folder of a bucket as an object store. Every request is signed with the hash of its body; lists go on by the last name
// they gave, which all servers understand.

import { type Bytes, toHex } from '../../../base/bytes.ts';
import { InfinitError } from '../../../base/errors.ts';
import type { Abortable } from '../../../base/lifecycle.ts';
import { limits } from '../../../base/limits.ts';
import { hash } from '../../../crypto/hash.ts';
import type { S3Json } from '../../../descriptor/descriptor.ts';
import { services } from '../../../descriptor/services.ts';
import type { HttpResponse } from '../../../runtime/runtime.ts';
import type { ObjectStore, StoredObject } from '../object-store.ts';
import {
  ask,
  type HttpParts,
  partOf,
  rangeHeader,
  readPatienceMs,
  readStatuses,
  retrying,
  unexpected,
} from '../requests.ts';
import { bucketUrl } from './address.ts';
import { encoded, type SigningKey, signedHeaders } from './sigv4.ts';

export interface S3BucketOptions {
  runtime: HttpParts;
  place: S3Json;
  /** Whose credentials they are. */
  service: 'aws' | 'gcs';
  key: SigningKey;
  storageClass: string | undefined;
}

interface Call {
  method: string;
  /** Undefined: the bucket itself. */
  name?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: readonly Bytes[];
  patienceMs?: number;
}

export class S3Bucket implements ObjectStore {
  readonly where: string;
  private readonly options: S3BucketOptions;
  private readonly url: URL;

  constructor(options: S3BucketOptions) {
    this.options = options;
    const { bucket, folder, endpoint } = options.place;
    this.url = bucketUrl(options.place);
    this.where = `s3://${bucket}/${folder} at ${endpoint}`;
  }

  async put(name: string, parts: readonly Bytes[], options: { onlyNew?: boolean } = {}): Promise<void> {
    const { storageClass } = this.options;
    const call = {
      method: 'PUT',
      name,
      body: parts,
      headers: {
        ...(options.onlyNew && { 'if-none-match': '*' }),
        ...(storageClass !== undefined && { 'x-amz-storage-class': storageClass }),
      },
      patienceMs: limits.objectOutageMs,
    };
    await this.call(call, [200]);
  }

  async get(name: string, range?: { offset: number; length: number }, options: Abortable = {}): Promise<Buffer> {
    if (range?.length === 0) return Buffer.alloc(0);
    const call = { method: 'GET', name, headers: rangeHeader(range) };
    return partOf(await this.call(call, readStatuses, options), range);
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    const folder = this.folder;
    let last = '';
    for (let listed = 0; listed < limits.objectsListedMax; ) {
      const query = {
        'list-type': '2',
        prefix: folder + prefix,
        ...(last !== '' && { 'start-after': last }),
      };
      const { body } = await this.call({ method: 'GET', query }, [200]);
      const { objects, more } = parseList(body.toString('utf8'));
      for (const { key, bytes } of objects) yield { name: key.slice(folder.length), bytes };
      listed += objects.length;
      const end = objects.at(-1)?.key;
      if (!more || end === undefined) return;
      last = end;
    }
  }

  async delete(name: string): Promise<void> {
    await this.call({ method: 'DELETE', name, patienceMs: limits.objectOutageMs }, [200, 204, 404]);
  }

  async close(): Promise<void> {}

  private get folder(): string {
    return `${this.options.place.folder}/`;
  }

  /** The answer when its status is one of those; else throws what it means. */
  private call(call: Call, good: readonly number[], options: Abortable = {}): Promise<HttpResponse> {
    const { runtime } = this.options;
    const patience = { ...options, patienceMs: call.patienceMs ?? readPatienceMs };
    return retrying(runtime, this.where, patience, async () => {
      const response = await this.once(call, options);
      if (good.includes(response.status)) return response;
      throw this.refusal(response);
    });
  }

  private once({ method, name, query = {}, headers = {}, body = [] }: Call, options: Abortable): Promise<HttpResponse> {
    const { runtime, key } = this.options;
    const url = new URL(this.url);
    const path = name === undefined ? '' : `${this.folder}${name}`.split('/').map(encoded).join('/');
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${path}`;
    for (const [field, value] of Object.entries(query)) url.searchParams.set(field, value);
    const signable = { method, url, headers, bodyHash: toHex(hash(...body)) };
    const signed = signedHeaders(signable, key, runtime.clock.now());
    return ask(runtime.http, { method, url: url.href, headers: signed, body }, options);
  }

  private refusal(response: HttpResponse): InfinitError {
    const { account, bucket, endpoint, region } = this.options.place;
    const { status, headers, body } = response;
    const text = body.toString('utf8', 0, 4096);
    const code = element(text, 'Code') ?? '';
    const { service } = this.options;
    const hint = `infinit credentials add --${service} ${account} --replace`;
    switch (code) {
      case 'NoSuchBucket':
        return new InfinitError('usage', `bucket "${bucket}" does not exist at ${endpoint}`, {
          hint: 'create it there, or create the silo anew with another --bucket',
        });
      case 'RequestTimeTooSkewed':
        return new InfinitError('denied', `${endpoint} refuses the time of this device, check the system clock`);
      case 'PreconditionFailed':
        return new InfinitError('exists', 'the object is there already');
      case 'ConditionalRequestConflict':
      case 'OperationAborted':
        return new InfinitError('unavailable', `${endpoint} is busy with the same object`);
      case 'QuotaExceeded':
      case 'EntityTooLarge':
        return new InfinitError('full', `${endpoint} takes no more in bucket "${bucket}"`);
      case 'NoSuchKey':
        return new InfinitError('not-found', 'the object is not there');
    }
    const right = headers['x-amz-bucket-region'] ?? element(text, 'Region');
    if ((status === 301 || status === 307 || status === 400) && right !== undefined && right !== region)
      return new InfinitError('usage', `bucket "${bucket}" is in region ${right}, not ${region}`, {
        hint: `create the silo anew with --region ${right}`,
      });
    if (status === 401 || status === 403)
      return new InfinitError(
        'denied',
        `${endpoint} refuses ${services[service]} credentials "${account}"${code && ` (${code})`}`,
        {
          hint,
        },
      );
    if (status === 404) return new InfinitError('not-found', 'the object is not there');
    if (status === 412) return new InfinitError('exists', 'the object is there already');
    if (status === 507) return new InfinitError('full', `${endpoint} has no room`);
    return unexpected(this.url.href, response, code || undefined);
  }
}

/** Keys and sizes of a list, and whether there is more. Throws `corrupt`. */
export function parseList(xml: string): { objects: { key: string; bytes: number }[]; more: boolean } {
  if (!/<ListBucketResult[\s>]/.test(xml)) throw new InfinitError('corrupt', 'a list of objects is none');
  const objects = [...xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, inner = '']) => {
    const [key, bytes] = [element(inner, 'Key'), Number(element(inner, 'Size'))];
    if (key === undefined || !Number.isSafeInteger(bytes)) throw new InfinitError('corrupt', 'a listed object is none');
    return { key, bytes };
  });
  return { objects, more: element(xml, 'IsTruncated') === 'true' };
}

/** The text of the first element of that name. */
function element(xml: string, name: string): string | undefined {
  const match = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml);
  return match?.[1]
    ?.replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll('&amp;', '&');
}
