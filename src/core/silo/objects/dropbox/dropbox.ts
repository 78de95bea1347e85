// The silo `dropbox`: packs in a folder of a Dropbox, by version 2 of its HTTP interface.

import { type Bytes, utf8 } from '../../../base/bytes.ts';
import { InfinitError, isError } from '../../../base/errors.ts';
import type { Abortable } from '../../../base/lifecycle.ts';
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

export const dropboxTokenUrl = 'https://api.dropboxapi.com/oauth2/token';
const api = 'https://api.dropboxapi.com/2/files';
const content = 'https://content.dropboxapi.com/2/files';

export const dropboxKind = packedKind('dropbox', async (config, around) => {
  const { runtime } = around;
  const { account, root } = needAccount(config);
  const secret = needTexts(await around.secrets('dropbox', account), ['app_key', 'app_secret', 'refresh_token']);
  const tokens = new Tokens({
    parts: runtime,
    tokenUrl: dropboxTokenUrl,
    client: { id: secret.app_key, secret: secret.app_secret },
    refreshToken: secret.refresh_token,
    what: `Dropbox credentials "${account}"`,
    hint: `infinit credentials add --dropbox ${account} --replace`,
  });
  return new DropboxFolder(runtime, tokens, `/${root}`);
});

interface Call {
  url: string;
  /** The argument: in a header beside content, else the body. */
  argument: Record<string, unknown>;
  content?: readonly Bytes[];
  headers?: { range?: string };
  patienceMs?: number;
}

export class DropboxFolder implements ObjectStore {
  readonly where: string;
  private readonly runtime: HttpParts;
  private readonly tokens: Tokens;
  private readonly root: string;

  constructor(runtime: HttpParts, tokens: Tokens, root: string) {
    this.runtime = runtime;
    this.tokens = tokens;
    this.root = root;
    this.where = `dropbox:${root}`;
  }

  async put(name: string, parts: readonly Bytes[], options: { onlyNew?: boolean } = {}): Promise<void> {
    const mode = options.onlyNew ? 'add' : 'overwrite';
    const argument = { path: this.path(name), mode, autorename: false, mute: true, strict_conflict: options.onlyNew };
    await this.call({ url: `${content}/upload`, argument, content: parts, patienceMs: limits.objectOutageMs });
  }

  async get(name: string, range?: { offset: number; length: number }, options: Abortable = {}): Promise<Buffer> {
    if (range?.length === 0) return Buffer.alloc(0);
    const argument = { path: this.path(name) };
    const call = { url: `${content}/download`, argument, content: [], headers: rangeHeader(range) };
    return partOf(await this.call(call, options), range);
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    let page = await this.page(`${api}/list_folder`, { path: this.root, limit: 2000 });
    for (let listed = 0; page !== undefined && listed < limits.objectsListedMax; ) {
      const entries = Array.isArray(page.entries) ? (page.entries as Record<string, unknown>[]) : [];
      for (const { '.tag': tag, name, size } of entries)
        if (tag === 'file' && typeof name === 'string' && name.startsWith(prefix)) yield { name, bytes: Number(size) };
      listed += entries.length;
      if (page.has_more !== true) return;
      page = await this.page(`${api}/list_folder/continue`, { cursor: page.cursor });
    }
  }

  async delete(name: string): Promise<void> {
    const argument = { path: this.path(name) };
    try {
      await this.call({ url: `${api}/delete_v2`, argument, patienceMs: limits.objectOutageMs });
    } catch (error) {
      if (!isError(error, 'not-found')) throw error;
    }
  }

  async close(): Promise<void> {}

  private path(name: string): string {
    return `${this.root}/${name}`;
  }

  /** Undefined when there is no such folder yet. */
  private async page(url: string, argument: Record<string, unknown>): Promise<Record<string, unknown> | undefined> {
    try {
      return parseJson((await this.call({ url, argument })).body);
    } catch (error) {
      if (isError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  private call(call: Call, options: Abortable = {}): Promise<HttpResponse> {
    const patience = { ...options, patienceMs: call.patienceMs ?? readPatienceMs };
    return retrying(this.runtime, this.where, patience, async () => {
      const response = await this.once(call, options);
      if (readStatuses.includes(response.status)) return response;
      throw this.refusal(call.url, response);
    });
  }

  private async once({ url, argument, content, headers: more }: Call, options: Abortable): Promise<HttpResponse> {
    const token = await this.tokens.get();
    const text = JSON.stringify(argument);
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': content === undefined ? 'application/json' : 'application/octet-stream',
      ...(content !== undefined && { 'dropbox-api-arg': ascii(text) }),
      ...more,
    };
    const response = await ask(
      this.runtime.http,
      { method: 'POST', url, headers, body: content ?? [utf8(text)] },
      options,
    );
    if (response.status !== 401) return response;
    // It may have ended, or been taken back; the next one tells.
    this.tokens.drop(token);
    throw new InfinitError('unavailable', 'the access token was refused');
  }

  private refusal(url: string, response: HttpResponse): InfinitError {
    const summary = response.status === 409 ? String(parseJson(response.body).error_summary ?? '') : '';
    if (summary.includes('not_found')) return new InfinitError('not-found', 'the object is not there');
    if (summary.includes('conflict')) return new InfinitError('exists', 'the object is there already');
    if (summary.includes('insufficient_space')) return new InfinitError('full', `${this.where} has no room`);
    if (summary.includes('too_many_write_operations')) return new InfinitError('unavailable', `${this.where} is busy`);
    if (response.status === 403) return new InfinitError('denied', `${this.where}: access is denied`);
    return unexpected(url, response, summary.slice(0, 100) || undefined);
  }
}

/** Headers hold ASCII: everything else is escaped. */
function ascii(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
