// Calls between the processes of a `World`: requests and responses pass through their codecs, rights are checked, errors keep
// their kind. The endpoint of a process is its name and port 1.

import { toHex } from '../../src/core/base/bytes.ts';
import { decode, encode } from '../../src/core/base/codec.ts';
import { asError, InfinitError } from '../../src/core/base/errors.ts';
import { Events } from '../../src/core/base/events.ts';
import { limits } from '../../src/core/base/limits.ts';
import { nodeIdOf } from '../../src/core/block/address.ts';
import { hash } from '../../src/core/crypto/hash.ts';
import type { CallOptions, Contact, Handler, Method, Peer, PeerIdentity, Peers } from '../../src/core/peer/peer.ts';
import type { Endpoint } from '../../src/core/runtime/runtime.ts';
import { type Process, within } from './world.ts';

/** All processes that can be dialled. */
export class FakeNetwork {
  readonly processes = new Map<string, FakePeers>();
}

export interface FakePeersOptions {
  userKey: Uint8Array;
  write?: boolean;
}

export class FakePeers implements Peers {
  readonly process: Process;
  readonly self: PeerIdentity;
  readonly events = new Events<{ connected: Peer; disconnected: Peer }>();
  private readonly network: FakeNetwork;
  private readonly handlers = new Map<string, Handler<unknown, unknown>>();
  private readonly known = new Map<string, Peer>();

  constructor(network: FakeNetwork, process: Process, options: FakePeersOptions) {
    this.network = network;
    this.process = process;
    this.self = {
      id: nodeIdOf(process.keys.publicKey),
      nodeKey: process.keys.publicKey,
      userKey: options.userKey,
      kind: 'client',
      rights: { write: options.write ?? true, storage: false, sign: false },
      passportHash: hash(options.userKey),
    };
    network.processes.set(process.name, this);
  }

  get endpoint(): Endpoint {
    return { host: this.process.name, port: 1 };
  }
  async start(): Promise<void> {}
  async stop(): Promise<void> {
    this.network.processes.delete(this.process.name);
  }
  serve<Q, R>(method: Method<Q, R>, handler: Handler<Q, R>): void {
    if (this.handlers.has(method.name)) throw new InfinitError('internal', `served twice: ${method.name}`);
    this.handlers.set(method.name, handler as Handler<unknown, unknown>);
  }
  async listen(): Promise<Endpoint> {
    return this.endpoint;
  }
  get(id: Uint8Array): Peer | undefined {
    return this.known.get(toHex(id));
  }
  connected(): readonly Peer[] {
    return [...this.known.values()];
  }

  async connect(contact: Contact): Promise<Peer> {
    for (const endpoint of contact.endpoints) {
      const other = this.network.processes.get(endpoint.host);
      if (other === undefined) continue;
      await within(
        this.process,
        1000,
        endpoint.host,
        this.process.world.ask(this.process, other.process, () => {}),
      );
      if (contact.id && toHex(contact.id) !== toHex(other.self.id))
        throw new InfinitError('denied', 'another node answers there');
      const peer = this.peerOf(other);
      this.known.set(toHex(other.self.id), peer);
      return peer;
    }
    throw new InfinitError('unavailable', 'no endpoint answers');
  }

  private peerOf(other: FakePeers): Peer {
    const { process } = this;
    return {
      identity: other.self,
      id: other.self.id,
      remote: other.endpoint,
      relay: undefined,
      roundTripMs: undefined,
      open: true,
      close: () => {},
      call: async <Q, R>(method: Method<Q, R>, request: Q, options: CallOptions = {}): Promise<R> => {
        const sent = encode(method.request, request);
        const answer = process.world.ask(process, other.process, () => other.handle(method, sent, this));
        const got = await within(process, options.timeoutMs ?? limits.callTimeoutMs, other.process.name, answer);
        return decode(method.response, got);
      },
    };
  }

  private async handle<Q, R>(method: Method<Q, R>, sent: Buffer, from: FakePeers): Promise<Buffer> {
    const handler = this.handlers.get(method.name);
    if (handler === undefined) throw new InfinitError('unsupported', `not served: ${method.name}`);
    if (method.right === 'write' && !from.self.rights.write)
      throw new InfinitError('denied', 'passport does not allow');
    const context = { from: from.self, peer: this.peerOf(from), signal: new AbortController().signal };
    try {
      return encode(method.response, (await handler(decode(method.request, sent), context)) as R);
    } catch (error) {
      throw asError(error);
    }
  }
}
