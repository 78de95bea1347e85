// A storage node that lies: its handlers answer what a test wants, instead of or after the real ones. Everything else of it, its
// keys, its certificate, its place on the ring, is real: it is a member of the network who misbehaves.

import { equalBytes } from '../../src/core/base/bytes.ts';
import type { LinkedNode } from '../../src/core/node/link.ts';
import type { CallContext, Handler, Method } from '../../src/core/peer/peer.ts';

interface Served {
  method: Method<unknown, unknown>;
  handler: Handler<unknown, unknown>;
}

/** What a node answers to a call, given what it would have answered. */
export type Lie<Q, R> = (request: Q, truth: () => Promise<R>, context: CallContext) => Promise<R> | R;

export class Liar {
  /** How often each lie was told, by method. */
  readonly told: Record<string, number> = {};
  private readonly served: Map<string, Served>;
  private readonly self: Uint8Array;

  constructor({ node }: LinkedNode) {
    this.self = node.peers.self.id;
    this.served = (node.peers as unknown as { services: { byName: Map<string, Served> } }).services.byName;
  }

  /** From now on answers that method so, to everybody but itself. */
  tell<Q, R>(method: Method<Q, R>, lie: Lie<Q, R>): void {
    const real = this.served.get(method.name);
    if (real === undefined) throw new Error(`${method.name} is not served`);
    const handler = (request: unknown, context: CallContext): unknown => {
      if (equalBytes(context.from.id, this.self)) return real.handler(request, context);
      this.told[method.name] = (this.told[method.name] ?? 0) + 1;
      return lie(request as Q, async () => (await real.handler(request, context)) as R, context);
    };
    this.served.set(method.name, { method: real.method, handler: handler as Handler<unknown, unknown> });
  }
}
