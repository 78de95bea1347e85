// The methods this node serves, and how one call of them runs: right, admission, handler, errors. The same for calls that
// came over a connection and for those of the local node.

import { equalBytes } from '../base/bytes.ts';
import { asError, InfinitError } from '../base/errors.ts';
import type { Log } from '../runtime/runtime.ts';
import type { Meter } from './meter.ts';
import type { Admission, CallContext, Handler, Method, PeerIdentity } from './peer.ts';

export interface Service {
  readonly method: Method<unknown, unknown>;
  readonly handler: Handler<unknown, unknown>;
}

export class Services {
  private readonly byName = new Map<string, Service>();
  private readonly admission: Admission;
  private readonly log: Log;
  private readonly meter: Meter | undefined;

  constructor(admission: Admission, log: Log, meter?: Meter) {
    this.admission = admission;
    this.log = log;
    this.meter = meter;
  }

  serve<Q, R>(method: Method<Q, R>, handler: Handler<Q, R>): void {
    if (this.byName.has(method.name)) throw new InfinitError('internal', `${method.name} is served twice`);
    this.byName.set(method.name, { method, handler } as unknown as Service);
  }

  find(name: string): Service | undefined {
    return this.byName.get(name);
  }

  /** What the caller shall see of an error. One that is not ours is a bug: logged here, its message stays here. */
  outward(error: unknown, service: Service, context: { from: PeerIdentity }): InfinitError {
    const ours = asError(error);
    if (ours.kind !== 'internal') return ours;
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.log.write('error', 'peer', `${service.method.name} failed`, { kind: context.from.kind, stack });
    return error instanceof InfinitError ? error : new InfinitError('internal', `${service.method.name} failed`);
  }

  /** Runs the handler on what `read` gives, once the caller may. Throws InfinitErrors only. */
  run(service: Service, read: () => unknown, context: CallContext): Promise<unknown> {
    const result = this.handle(service, read, context);
    return this.meter === undefined ? result : this.meter.serve(service.method.name, result);
  }

  private async handle(service: Service, read: () => unknown, context: CallContext): Promise<unknown> {
    try {
      this.authorize(service.method, context.from);
      return await service.handler(read(), context);
    } catch (error) {
      throw this.outward(error, service, context);
    }
  }

  /** Throws `denied` unless the caller's passport, as it stands now, allows the method. */
  private authorize(method: Method<unknown, unknown>, caller: PeerIdentity): void {
    if (!equalBytes(caller.id, this.admission.self.id)) this.admission.check(caller);
    if (method.right !== 'member' && !caller.rights[method.right])
      throw new InfinitError('denied', `${method.name} needs a passport with the right "${method.right}"`);
  }
}
