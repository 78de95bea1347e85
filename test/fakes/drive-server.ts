// Dropbox and Google Drive on loopback, as far as their documentation says: signing in, tokens that end, files. Requests come in
// under the name of the host they are meant for; `client` sends them here.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HttpClient } from '../../src/core/runtime/runtime.ts';
import { systemHttp } from '../../src/core/runtime/system/http.ts';

interface Answer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}
interface Asked {
  method: string;
  url: URL;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

const refreshToken = 'refresh-me';

export class DriveServer {
  /** Of Dropbox, by path. */
  readonly boxes = new Map<string, Buffer>();
  /** Of Google Drive, by id. */
  readonly files = new Map<string, { name: string; parent: string; content: Buffer }>();
  /** Whether the person has entered the code at the device page. */
  entered = false;
  /** What the token endpoint answers while he has not. */
  pending: string[] = [];
  /** Access tokens that hold. */
  readonly tokens = new Set<string>();
  /** Whether the refresh token was taken back. */
  revoked = false;
  issued = 0;
  private readonly uploads = new Map<string, { id: string | undefined; name: string; parent: string }>();
  private server: Server | undefined;
  private count = 0;

  async start(): Promise<void> {
    this.server = createServer((request, response) => {
      this.take(request).then(
        ({ status, body, headers = {} }) => {
          response.writeHead(status, headers);
          response.end(Buffer.isBuffer(body) ? body : body === undefined ? '' : JSON.stringify(body));
        },
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }

  async close(): Promise<void> {
    this.server?.closeAllConnections();
    this.server?.close();
  }

  get client(): HttpClient {
    const http = systemHttp();
    if (this.server === undefined) throw new Error('not started');
    const { port } = this.server.address() as AddressInfo;
    return {
      request: (request, options) =>
        http.request({ ...request, url: request.url.replace(/^https:\/\//, `http://127.0.0.1:${port}/`) }, options),
    };
  }

  private async take(request: IncomingMessage): Promise<Answer> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const url = new URL(`https:/${request.url}`);
    const asked = { method: request.method ?? '', url, headers: request.headers, body: Buffer.concat(pieces) };
    if (/\/token$|device\/code$/.test(url.pathname)) return this.signIn(asked);
    const token = /^Bearer (.*)$/.exec(String(asked.headers.authorization))?.[1] ?? '';
    if (!this.tokens.has(token)) return { status: 401, body: { error: 'expired_access_token' } };
    return url.host === 'www.googleapis.com' ? this.google(asked) : this.dropbox(asked);
  }

  private signIn({ url, body }: Asked): Answer {
    const form = new URLSearchParams(body.toString());
    if (url.pathname.endsWith('device/code')) {
      if (form.get('client_id') !== 'app') return { status: 401, body: { error: 'invalid_client' } };
      const verification_url = 'https://www.google.com/device';
      const codes = { device_code: 'device-1', user_code: 'ABCD-EFGH' };
      return { status: 200, body: { ...codes, verification_url, expires_in: 1800, interval: 5 } };
    }
    if (form.get('client_secret') !== 'app secret') return { status: 401, body: { error: 'invalid_client' } };
    const tokens = { access_token: `access-${++this.issued}`, expires_in: 14_400, token_type: 'bearer' };
    switch (form.get('grant_type')) {
      case 'refresh_token':
        if (this.revoked || form.get('refresh_token') !== refreshToken)
          return { status: 400, body: { error: 'invalid_grant' } };
        break;
      case 'authorization_code':
        if (form.get('code') !== 'pasted') return { status: 400, body: { error: 'invalid_grant' } };
        break;
      default:
        if (form.get('device_code') !== 'device-1') return { status: 400, body: { error: 'invalid_grant' } };
        if (!this.entered) return { status: 428, body: { error: this.pending.shift() ?? 'authorization_pending' } };
    }
    this.tokens.add(tokens.access_token);
    return { status: 200, body: { ...tokens, refresh_token: refreshToken } };
  }

  private dropbox({ url, headers, body }: Asked): Answer {
    const argument = JSON.parse(String(headers['dropbox-api-arg'] ?? body)) as Record<string, string>;
    const { path = '' } = argument;
    const missing = { status: 409, body: { error_summary: 'path/not_found/..', error: {} } };
    switch (url.pathname) {
      case '/2/files/upload':
        if (argument.mode === 'add' && this.boxes.has(path))
          return { status: 409, body: { error_summary: 'path/conflict/file/..', error: {} } };
        this.boxes.set(path, body);
        return { status: 200, body: { name: path, size: body.length } };
      case '/2/files/download': {
        const content = this.boxes.get(path);
        return content === undefined ? missing : ranged(content, headers.range);
      }
      case '/2/files/delete_v2':
        return this.boxes.delete(path)
          ? { status: 200, body: {} }
          : { ...missing, body: { error_summary: 'path_lookup/not_found/' } };
      case '/2/files/list_folder':
      case '/2/files/list_folder/continue': {
        const [folder = '', from = '0'] = argument.cursor === undefined ? [path] : argument.cursor.split('|');
        const below = [...this.boxes].filter(([name]) => name.startsWith(`${folder}/`));
        if (below.length === 0) return missing;
        const page = below.slice(Number(from), Number(from) + 50);
        const entries = page.map(([name, { length }]) => ({
          '.tag': 'file',
          name: name.slice(folder.length + 1),
          size: length,
        }));
        const end = Number(from) + page.length;
        return { status: 200, body: { entries, cursor: `${folder}|${end}`, has_more: end < below.length } };
      }
    }
    return { status: 400, body: 'unknown call' };
  }

  private google({ method, url, headers, body }: Asked): Answer {
    const [, id = ''] = /\/files\/([^/]+)$/.exec(url.pathname) ?? [];
    if (url.pathname.startsWith('/upload/')) return this.upload(method, url, id, body);
    if (method === 'POST') {
      const { name } = JSON.parse(body.toString()) as { name: string };
      return { status: 200, body: { id: this.add(name, 'root', Buffer.alloc(0)) } };
    }
    if (id === '') {
      const query = url.searchParams.get('q') ?? '';
      const parent = /'([^']*)' in parents/.exec(query)?.[1];
      const name = /name = '([^']*)'/.exec(query)?.[1];
      const all = [...this.files].filter(([, file]) => file.parent === parent && (name ?? file.name) === file.name);
      const from = Number(url.searchParams.get('pageToken') ?? 0);
      const files = all
        .slice(from, from + 50)
        .map(([key, file]) => ({ id: key, name: file.name, size: String(file.content.length) }));
      const more = from + 50 < all.length && { nextPageToken: String(from + 50) };
      return { status: 200, body: { files, ...more } };
    }
    const file = this.files.get(id);
    if (file === undefined) return { status: 404, body: {} };
    if (method === 'DELETE') this.files.delete(id);
    return method === 'DELETE' ? { status: 204 } : ranged(file.content, headers.range);
  }

  private upload(method: string, url: URL, id: string, body: Buffer): Answer {
    const session = url.searchParams.get('upload_id');
    if (session === null) {
      const { name = '', parents = [] } = JSON.parse(body.toString()) as { name?: string; parents?: string[] };
      const known = method === 'PATCH' ? id : undefined;
      if (known !== undefined && !this.files.has(known)) return { status: 404, body: {} };
      const key = `session-${++this.count}`;
      this.uploads.set(key, { id: known, name, parent: parents[0] ?? '' });
      return {
        status: 200,
        headers: { location: `https://www.googleapis.com${url.pathname}?uploadType=resumable&upload_id=${key}` },
      };
    }
    const upload = this.uploads.get(session);
    if (upload === undefined) return { status: 404, body: {} };
    const file = upload.id === undefined ? undefined : this.files.get(upload.id);
    if (file !== undefined) file.content = body;
    return { status: 200, body: { id: file === undefined ? this.add(upload.name, upload.parent, body) : upload.id } };
  }

  private add(name: string, parent: string, content: Buffer): string {
    const id = `id-${++this.count}`;
    this.files.set(id, { name, parent, content });
    return id;
  }
}

function ranged(content: Buffer, range: string | undefined): Answer {
  if (range === undefined) return { status: 200, body: content };
  const [, from = '0', to = '0'] = /bytes=(\d+)-(\d+)/.exec(range) ?? [];
  if (Number(from) >= content.length) return { status: 416, body: {} };
  return { status: 206, body: content.subarray(Number(from), Number(to) + 1) };
}
