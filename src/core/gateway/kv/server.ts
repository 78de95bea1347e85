// The long-lived door to key-value stores: serves the kv methods over the keys view. Uploads and watches belong to the
// connection that opened them and end with it; both are bounded.

import { type Bytes, concatBytes, toHex } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { CallContext, Handler, Method, Peer, PeerIdentity, Peers } from '../../peer/peer.ts';
import type { Clock } from '../../runtime/runtime.ts';
import type { KeyChange, KeyStore } from '../../volume/keys.ts';
import * as messages from './messages.ts';

const changesWaitMs = 5000;
const watchesPerPeerMax = 64;

interface Upload {
  parts: Bytes[];
  bytes: number;
}

/** Collects changes between two polls. */
class Watch {
  private readonly stop = new AbortController();
  private readonly changes: KeyChange[] = [];
  private failure: unknown;
  private wake = () => {};
  private room = () => {};

  constructor(store: KeyStore, prefix: Bytes) {
    this.collect(store, prefix).catch((error: unknown) => {
      this.failure = error;
      this.wake();
    });
  }

  private async collect(store: KeyStore, prefix: Bytes): Promise<void> {
    for await (const change of store.watch(prefix, { signal: this.stop.signal })) {
      this.changes.push(change);
      this.wake();
      if (this.changes.length >= messages.changesPerReplyMax)
        await new Promise<void>((resolve) => (this.room = resolve));
    }
  }

  async take(clock: Clock, signal: AbortSignal): Promise<KeyChange[]> {
    if (this.changes.length === 0 && this.failure === undefined) {
      await new Promise<void>((resolve) => {
        const cancel = clock.after(changesWaitMs, resolve);
        this.wake = () => {
          cancel();
          resolve();
        };
        signal.addEventListener('abort', () => this.wake(), { once: true });
      });
    }
    if (this.changes.length === 0 && this.failure !== undefined) throw this.failure;
    const taken = this.changes.splice(0, messages.changesPerReplyMax);
    this.room();
    return taken;
  }

  close(): void {
    this.stop.abort();
    this.wake();
    this.room();
  }
}

interface Visitor {
  uploads: Map<number, Upload>;
  watches: Map<number, Watch>;
  nextWatch: number;
}

export interface KvServerOptions {
  peers: Peers;
  clock: Clock;
  /** The store of that name (`owner/name`; empty: the only one). Throws `not-found`. */
  store: (name: string) => KeyStore;
  /** Who may come in at all; throws `denied`. */
  admit: (caller: PeerIdentity) => void;
}

/** Registers the kv methods with the peers; `close` ends all watches. */
export class KvServer {
  private readonly options: KvServerOptions;
  private readonly visitors = new Map<Peer, Visitor>();

  constructor(options: KvServerOptions) {
    this.options = options;
    options.peers.events.on('disconnected', (peer) => this.forget(peer));
    this.serve(messages.kvGet, (request, context) => this.get(request, context));
    this.serve(messages.kvUpload, (request, context) => this.upload(request, context));
    this.serve(messages.kvPut, (request, context) => this.put(request, context));
    this.serve(messages.kvDelete, async ({ store, key, ifVersion }, { signal }) => {
      const condition = ifVersion === undefined ? {} : { ifVersion };
      return { existed: await this.store(store).delete(key, { ...condition, signal }) };
    });
    this.serve(messages.kvList, ({ store, prefix, startAfter, limit }, { signal }) => {
      const from = startAfter === undefined ? {} : { startAfter };
      return this.store(store).list({ prefix, limit, ...from, signal });
    });
    this.serve(messages.kvWatch, ({ store, prefix }, { peer }) => this.watch(this.store(store), prefix, peer));
    this.serve(messages.kvChanges, async ({ watch }, { peer, signal }) => {
      const found = this.visitor(peer).watches.get(watch);
      if (found === undefined) throw new InfinitError('not-found', 'no such watch');
      return { changes: await found.take(this.options.clock, signal) };
    });
    this.serve(messages.kvUnwatch, ({ watch }, { peer }) => {
      const { watches } = this.visitor(peer);
      watches.get(watch)?.close();
      watches.delete(watch);
      return {};
    });
  }

  private serve<Q, R>(method: Method<Q, R>, handler: Handler<Q, R>): void {
    this.options.peers.serve(method, (request, context) => {
      this.options.admit(context.from);
      return handler(request, context);
    });
  }

  close(): void {
    for (const peer of [...this.visitors.keys()]) this.forget(peer);
  }

  private store(name: Bytes): KeyStore {
    return this.options.store(Buffer.from(name).toString('utf8'));
  }

  private visitor(peer: Peer): Visitor {
    const known = this.visitors.get(peer);
    if (known) return known;
    const fresh = { uploads: new Map(), watches: new Map(), nextWatch: 1 };
    this.visitors.set(peer, fresh);
    return fresh;
  }

  private forget(peer: Peer): void {
    for (const watch of this.visitors.get(peer)?.watches.values() ?? []) watch.close();
    this.visitors.delete(peer);
  }

  private async get(
    request: { store: Bytes; key: Bytes; version: number | undefined; offset: number },
    { signal }: CallContext,
  ): Promise<{ version: number; size: number; part: Bytes }> {
    const found = await this.store(request.store).get(request.key, { signal });
    if (request.version !== undefined && request.version !== found.version) {
      throw new InfinitError('conflict', 'the value changed while it was read');
    }
    const part = found.value.subarray(request.offset, request.offset + messages.partBytesMax);
    return { version: found.version, size: found.value.length, part };
  }

  private upload(
    request: { upload: number; offset: number; part: Bytes },
    { peer }: CallContext,
  ): Record<string, never> {
    const { uploads } = this.visitor(peer);
    const upload = uploads.get(request.upload) ?? { parts: [], bytes: 0 };
    if (!uploads.has(request.upload) && uploads.size >= messages.uploadsMax)
      throw new InfinitError('full', 'too many uploads');
    if (request.offset !== upload.bytes) throw new InfinitError('conflict', 'upload parts arrive out of order');
    if (upload.bytes + request.part.length > limits.valueBytesMax) {
      uploads.delete(request.upload);
      throw new InfinitError('full', `a value has at most ${limits.valueBytesMax} bytes`);
    }
    upload.parts.push(request.part);
    upload.bytes += request.part.length;
    uploads.set(request.upload, upload);
    return {};
  }

  private async put(
    request: {
      store: Bytes;
      key: Bytes;
      value: Bytes;
      upload: number | undefined;
      ifAbsent: boolean;
      ifVersion: number | undefined;
    },
    { peer, signal }: CallContext,
  ): Promise<{ version: number }> {
    let value = request.value;
    if (request.upload !== undefined) {
      const { uploads } = this.visitor(peer);
      const upload = uploads.get(request.upload);
      if (upload === undefined) throw new InfinitError('not-found', 'no such upload');
      uploads.delete(request.upload);
      value = concatBytes([...upload.parts, request.value]);
    }
    const condition = request.ifVersion === undefined ? {} : { ifVersion: request.ifVersion };
    const options = { ifAbsent: request.ifAbsent, ...condition, signal };
    return { version: await this.store(request.store).put(request.key, value, options) };
  }

  private watch(store: KeyStore, prefix: Bytes, peer: Peer): { watch: number } {
    const visitor = this.visitor(peer);
    if (visitor.watches.size >= watchesPerPeerMax) {
      throw new InfinitError(
        'full',
        `${toHex(peer.id).slice(0, 8)} has ${watchesPerPeerMax} watches open, which is the limit`,
      );
    }
    const watch = visitor.nextWatch++;
    visitor.watches.set(watch, new Watch(store, prefix));
    return { watch };
  }
}
