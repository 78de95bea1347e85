// The XML API of Google Cloud Storage on loopback, as far as its documentation says how other programs' S3 clients may use it: HMAC keys
// with signature version 4, ranges, lists. Signatures are computed here anew from the request as it arrived. Requests come in under
// the name of the real host; `client` sends them here.

import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HttpClient } from '../../src/core/runtime/runtime.ts';
import { systemHttp } from '../../src/core/runtime/system/http.ts';

export const gcsKeys = { access_key_id: 'GOOG1EXAMPLE', secret_access_key: 'bGoa+V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJ' };
export const gcsBucket = 'trial-bucket';
const host = 'storage.googleapis.com';
/** Small, so that lists have pages. The real one has 1000. */
const listedMax = 7;

interface Asked {
  method: string;
  /** As sent. */
  path: string;
  query: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

interface Answer {
  status: number;
  body?: Buffer;
  headers?: Record<string, string>;
}

export class GcsServer {
  private readonly objects = new Map<string, Buffer>();
  private server: Server | undefined;

  async start(): Promise<void> {
    this.server = createServer((request, response) => void this.take(request, response)).listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }

  close(): void {
    this.server?.closeAllConnections();
    this.server?.close();
  }

  get client(): HttpClient {
    const http = systemHttp();
    if (this.server === undefined) throw new Error('not started');
    const { port } = this.server.address() as AddressInfo;
    return {
      request: (request, options) => {
        const url = new URL(request.url);
        if (url.origin !== `https://${host}`) throw new Error(`a request for ${url.origin}`);
        return http.request({ ...request, url: `http://127.0.0.1:${port}${url.pathname}${url.search}` }, options);
      },
    };
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const [path = '', query = ''] = (request.url ?? '').split('?');
    const asked = { method: request.method ?? '', path, query, headers: request.headers, body: Buffer.concat(pieces) };
    const { status, body = Buffer.alloc(0), headers = {} } = this.refused(asked) ?? this.answer(asked);
    response.writeHead(status, { ...headers, 'content-length': body.length }).end(body);
  }

  private refused({ method, path, query, headers, body }: Asked): Answer | undefined {
    const names = Object.keys(headers);
    if (names.some((name) => name.startsWith('x-goog-')) && names.some((name) => name.startsWith('x-amz-')))
      return failure(400, 'ExcessHeaderValues');
    const match =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
        headers.authorization ?? '',
      );
    if (!match) return failure(403, 'AccessDenied');
    const [, id, day, region, signed, signature] = match as unknown as string[];
    if (id !== gcsKeys.access_key_id) return failure(403, 'InvalidAccessKeyId');
    const date = String(headers['x-amz-date']);
    const at = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
    if (!(Math.abs(Date.now() - at) <= 15 * 60_000) || !date.startsWith(String(day)))
      return failure(403, 'RequestTimeTooSkewed');
    if (headers['x-amz-content-sha256'] !== sha256(body)) return failure(400, 'XAmzContentSHA256Mismatch');
    const list = String(signed).split(';');
    if (['host', 'x-amz-content-sha256', 'x-amz-date'].some((name) => !list.includes(name)))
      return failure(403, 'SignatureDoesNotMatch');
    const values = list.map((name) => `${name}:${name === 'host' ? host : headers[name]}\n`).join('');
    const sorted = query === '' ? '' : query.split('&').map(reencoded).sort().join('&');
    const canonical = [method, path, sorted, values, signed, sha256(body)].join('\n');
    const scope = `${day}/${region}/s3/aws4_request`;
    let key = Buffer.from(`AWS4${gcsKeys.secret_access_key}`);
    for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest();
    const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256(Buffer.from(canonical))}`;
    const right = createHmac('sha256', key).update(text).digest('hex');
    return right === signature ? undefined : failure(403, 'SignatureDoesNotMatch');
  }

  private answer({ method, path, query, headers, body }: Asked): Answer {
    const [, bucket, ...rest] = path.split('/');
    if (bucket !== gcsBucket) return failure(404, 'NoSuchBucket');
    const name = rest.map(decodeURIComponent).join('/');
    if (name === '') return this.list(new URLSearchParams(query));
    const held = this.objects.get(name);
    switch (method) {
      case 'PUT':
        // Preconditions of S3 count for reading only here: what is there is replaced.
        this.objects.set(name, body);
        return { status: 200 };
      case 'DELETE':
        this.objects.delete(name);
        return held === undefined ? failure(404, 'NoSuchKey') : { status: 204 };
      case 'GET':
        return held === undefined ? failure(404, 'NoSuchKey') : rangeOf(held, headers.range);
      default:
        return failure(405, 'MethodNotAllowed');
    }
  }

  private list(query: URLSearchParams): Answer {
    if (query.get('list-type') !== '2') return failure(400, 'InvalidArgument');
    const [prefix, after] = [query.get('prefix') ?? '', query.get('start-after') ?? ''];
    const names = [...this.objects.keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
    const contents = names.slice(0, listedMax).map((name) => {
      const key = name.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
      return `<Contents><Key>${key}</Key><Size>${this.objects.get(name)?.length}</Size></Contents>`;
    });
    const xml = `<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'><Name>${gcsBucket}</Name><IsTruncated>${names.length > listedMax}</IsTruncated>${contents.join('')}</ListBucketResult>`;
    return { status: 200, body: Buffer.from(xml), headers: { 'content-type': 'application/xml' } };
  }
}

function rangeOf(held: Buffer, range: string | undefined): Answer {
  const match = /^bytes=(\d+)-(\d+)$/.exec(range ?? '');
  if (!match) return { status: 200, body: held };
  const [from, to] = [Number(match[1]), Math.min(Number(match[2]), held.length - 1)];
  if (from >= held.length) return failure(416, 'InvalidRange');
  return {
    status: 206,
    body: held.subarray(from, to + 1),
    headers: { 'content-range': `bytes ${from}-${to}/${held.length}` },
  };
}

function failure(status: number, code: string): Answer {
  const xml = `<?xml version='1.0' encoding='UTF-8'?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  return { status, body: Buffer.from(xml), headers: { 'content-type': 'application/xml' } };
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A parameter as RFC 3986 has it, from how a form has it. */
function reencoded(parameter: string): string {
  const [name = '', value = ''] = parameter.split('=').map((part) => decodeURIComponent(part.replaceAll('+', ' ')));
  const encode = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return `${encode(name)}=${encode(value)}`;
}
