// The silo `google-drive`: packs in a folder of a Google Drive, by version 3 of its HTTP interface. Files there have ids and names
// need not be unique, so the ids are known from a list at the opening and from what was made since.

import { type Bytes, utf8 } from '../../../base/bytes.ts';
import { InfinitError } from '../../../base/errors.ts';
import { type Abortable, KeyedMutex } from '../../../base/lifecycle.ts';
import { limits } from '../../../base/limits.ts';
import type { HttpResponse } from '../../../runtime/runtime.ts';
import { needAccount, needTexts } from '../accounts.ts';
import { Tokens } from '../oauth.ts';
import type { ObjectStore, StoredObject } from '../object-store.ts';
import { packedKind } from '../opening.ts';
import {
  ask,
  type HttpParts,
  parseJson,
  partOf,
  rangeHeader,
  readPatienceMs,
  readStatuses,
  retrying,
  unexpected,
} from '../requests.ts';

/** Files of this application only. */
export const googleSignIn = {
  deviceUrl: 'https://oauth2.googleapis.com/device/code',
  tokenUrl: 'https://oauth2.googleapis.com/token',
  scope: 'https://www.googleapis.com/auth/drive.file',
};
const files = 'https://www.googleapis.com/drive/v3/files';
const uploads = 'https://www.googleapis.com/upload/drive/v3/files';
const folderType = 'application/vnd.google-apps.folder';

export const googleDriveKind = packedKind('google-drive', async (config, around) => {
  const { runtime } = around;
  const { account, root } = needAccount(config);
  const secret = needTexts(await around.secrets('google-drive', account), [
    'client_id',
    'client_secret',
    'refresh_token',
  ]);
  const tokens = new Tokens({
    parts: runtime,
    tokenUrl: googleSignIn.tokenUrl,
    client: { id: secret.client_id, secret: secret.client_secret },
    refreshToken: secret.refresh_token,
    what: `Google Drive credentials "${account}"`,
    hint: `infinit credentials add --google-drive ${account} --replace`,
  });
  return new DriveFolder(runtime, tokens, root);
});

interface Call {
  method: string;
  url: string;
  headers?: Record<string, string>;
  body?: readonly Bytes[];
  good: readonly number[];
  patienceMs?: number;
}

interface Listed {
  id: string;
  name: string;
  bytes: number;
}

export class DriveFolder implements ObjectStore {
  readonly where: string;
  private readonly runtime: HttpParts;
  private readonly tokens: Tokens;
  private readonly root: string;
  /** Of each name, once it was listed or made. */
  private ids: Promise<Map<string, string>> | undefined;
  private folder: Promise<string> | undefined;
  private readonly order = new KeyedMutex();

  constructor(runtime: HttpParts, tokens: Tokens, root: string) {
    this.runtime = runtime;
    this.tokens = tokens;
    this.root = root;
    this.where = `google-drive:${root}`;
  }

  /** Not able to refuse what is there: `onlyNew` replaces like any other. */
  put(name: string, parts: readonly Bytes[]): Promise<void> {
    return this.order.run(name, async () => {
      const ids = await this.known();
      const id = ids.get(name);
      const metadata = id === undefined ? { name, parents: [await this.folderId()] } : {};
      const at = id === undefined ? uploads : `${uploads}/${id}`;
      const patienceMs = limits.objectOutageMs;
      const { headers } = await this.call({
        method: id === undefined ? 'POST' : 'PATCH',
        url: `${at}?uploadType=resumable&fields=id`,
        headers: { 'content-type': 'application/json' },
        body: [utf8(JSON.stringify(metadata))],
        good: [200],
        patienceMs,
      });
      const { location } = headers;
      if (location === undefined) throw new InfinitError('corrupt', `${this.where} names no place to upload to`);
      const made = await this.call({ method: 'PUT', url: location, body: parts, good: [200, 201], patienceMs });
      ids.set(name, String(parseJson(made.body).id));
    });
  }

  async get(name: string, range?: { offset: number; length: number }, options: Abortable = {}): Promise<Buffer> {
    const id = (await this.known()).get(name);
    if (id === undefined) throw new InfinitError('not-found', 'the object is not there');
    if (range?.length === 0) return Buffer.alloc(0);
    const call = { method: 'GET', url: `${files}/${id}?alt=media`, headers: rangeHeader(range), good: readStatuses };
    return partOf(await this.call(call, options), range);
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    const ids = await this.known();
    const before = new Map(ids);
    const found = await this.listAll(`'${await this.folderId()}' in parents and trashed = false`);
    // What was put or deleted here meanwhile is known better.
    for (const { name, id } of found) if (ids.get(name) === before.get(name)) ids.set(name, id);
    for (const { name, bytes } of found) if (name.startsWith(prefix)) yield { name, bytes };
  }

  delete(name: string): Promise<void> {
    return this.order.run(name, async () => {
      const ids = await this.known();
      const id = ids.get(name);
      if (id === undefined) return;
      const patienceMs = limits.objectOutageMs;
      await this.call({ method: 'DELETE', url: `${files}/${id}`, good: [200, 204, 404], patienceMs });
      ids.delete(name);
    });
  }

  async close(): Promise<void> {}

  private known(): Promise<Map<string, string>> {
    this.ids ??= (async () => {
      const found = await this.listAll(`'${await this.folderId()}' in parents and trashed = false`);
      return new Map(found.map(({ name, id }) => [name, id]));
    })().catch((error: unknown) => {
      this.ids = undefined;
      throw error;
    });
    return this.ids;
  }

  /** The folder, made when there is none. */
  private folderId(): Promise<string> {
    this.folder ??= this.findFolder().catch((error: unknown) => {
      this.folder = undefined;
      throw error;
    });
    return this.folder;
  }

  private async findFolder(): Promise<string> {
    const name = this.root.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
    const query = `name = '${name}' and mimeType = '${folderType}' and 'root' in parents and trashed = false`;
    const [found] = await this.listAll(query);
    if (found !== undefined) return found.id;
    const body = [utf8(JSON.stringify({ name: this.root, mimeType: folderType }))];
    const headers = { 'content-type': 'application/json' };
    const made = await this.call({ method: 'POST', url: `${files}?fields=id`, headers, body, good: [200] });
    return String(parseJson(made.body).id);
  }

  private async listAll(query: string): Promise<Listed[]> {
    const found: Listed[] = [];
    for (let token = ''; found.length < limits.objectsListedMax; ) {
      const search = new URLSearchParams({ q: query, pageSize: '1000', fields: 'nextPageToken,files(id,name,size)' });
      if (token !== '') search.set('pageToken', token);
      const page = parseJson((await this.call({ method: 'GET', url: `${files}?${search}`, good: [200] })).body);
      const entries = Array.isArray(page.files) ? (page.files as Record<string, unknown>[]) : [];
      for (const { id, name, size } of entries)
        found.push({ id: String(id), name: String(name), bytes: Number(size ?? 0) });
      if (typeof page.nextPageToken !== 'string') break;
      token = page.nextPageToken;
    }
    return found;
  }

  private call(call: Call, options: Abortable = {}): Promise<HttpResponse> {
    const patience = { ...options, patienceMs: call.patienceMs ?? readPatienceMs };
    return retrying(this.runtime, this.where, patience, async () => {
      const token = await this.tokens.get();
      const { method, url, headers, body = [] } = call;
      const request = { method, url, headers: { ...headers, authorization: `Bearer ${token}` }, body };
      const response = await ask(this.runtime.http, request, options);
      if (call.good.includes(response.status)) return response;
      if (response.status === 401) this.tokens.drop(token);
      throw this.refusal(url, response);
    });
  }

  private refusal(url: string, response: HttpResponse): InfinitError {
    const text = response.body.toString('utf8', 0, 2000);
    if (response.status === 401) return new InfinitError('unavailable', 'the access token was refused');
    if (/"storageQuotaExceeded"/.test(text)) return new InfinitError('full', `${this.where} has no room`);
    if (/"(userRateLimitExceeded|rateLimitExceeded)"/.test(text))
      return new InfinitError('unavailable', `${this.where} is busy`);
    if (response.status === 403) return new InfinitError('denied', `${this.where}: access is denied`);
    if (response.status === 404) return new InfinitError('not-found', 'the object is not there');
    return unexpected(url.split('?')[0] as string, response);
  }
}
