// Peers as the layers above see them: a remote node, whose connection may be replaced without anybody noticing, and the local
// node, whose calls run its own handlers.

import { InfinitError } from '../base/errors.ts';
import { cancelled, checkSignal } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { NodeId } from '../block/address.ts';
import type { Clock, Endpoint } from '../runtime/runtime.ts';
import type { Meter } from './meter.ts';
import type { CallOptions, Method, Peer, PeerIdentity } from './peer.ts';
import type { Services } from './services.ts';
import type { Session } from './session.ts';

export class NodePeer implements Peer {
  readonly id: NodeId;
  private session: Session;
  private readonly meter: Meter | undefined;

  constructor(session: Session, meter?: Meter) {
    this.session = session;
    this.meter = meter;
    this.id = session.identity.id;
  }

  get identity(): PeerIdentity {
    return this.session.identity;
  }
  get remote(): Endpoint {
    return this.session.remote;
  }
  get relay(): NodeId | undefined {
    return this.session.relay;
  }
  get roundTripMs(): number | undefined {
    return this.session.roundTripMs;
  }
  get open(): boolean {
    return this.session.open;
  }
  get current(): Session {
    return this.session;
  }

  /** New calls go over that session. */
  use(session: Session): void {
    this.session = session;
  }

  call<Q, R>(method: Method<Q, R>, request: Q, options: CallOptions = {}): Promise<R> {
    const result = this.session.call(method, request, options);
    return this.meter === undefined ? result : this.meter.call(method.name, result);
  }

  close(): void {
    this.session.close();
  }
}

export class LoopbackPeer implements Peer {
  readonly identity: PeerIdentity;
  readonly id: NodeId;
  readonly remote: Endpoint = { host: 'localhost', port: 0 };
  readonly relay = undefined;
  readonly roundTripMs = 0;
  readonly open = true;
  private readonly services: Services;
  private readonly clock: Clock;

  constructor(identity: PeerIdentity, services: Services, clock: Clock) {
    this.identity = identity;
    this.id = identity.id;
    this.services = services;
    this.clock = clock;
  }

  async call<Q, R>(method: Method<Q, R>, request: Q, options: CallOptions = {}): Promise<R> {
    const { signal, timeoutMs = limits.callTimeoutMs } = options;
    checkSignal(signal);
    const service = this.services.find(method.name);
    if (!service) throw new InfinitError('unsupported', `this node does not serve ${method.name}`);
    const abort = new AbortController();
    return new Promise<R>((resolve, reject) => {
      const end = () => {
        stop();
        signal?.removeEventListener('abort', gaveUp);
      };
      const giveUp = (error: InfinitError) => {
        end();
        abort.abort(new InfinitError('cancelled', 'the caller gave up'));
        reject(error);
      };
      const gaveUp = () => giveUp(cancelled(signal));
      const stop = this.clock.after(timeoutMs, () =>
        giveUp(new InfinitError('unavailable', `${method.name} was not answered within ${timeoutMs} ms`)),
      );
      signal?.addEventListener('abort', gaveUp, { once: true });
      this.services
        .run(service, () => request, { from: this.identity, peer: this, signal: abort.signal })
        .finally(end)
        .then((value) => resolve(value as R), reject);
    });
  }

  /** The local node is always there. */
  close(): void {}
}
