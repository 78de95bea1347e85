// Where a node is: the port it listens on, the addresses it tells others, and the relays where those do not lead to it.

import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Peers } from '../peer/peer.ts';
import { fewer } from '../peer/relayed-endpoint.ts';
import type { Endpoint, Runtime } from '../runtime/runtime.ts';
import { type Announcement, announcedHosts, isTold } from './announcement.ts';
import { Reachability, type ReachabilityParts } from './reachability.ts';
import type { NodeState } from './state.ts';

export interface PlaceParts extends Omit<ReachabilityParts, 'clock' | 'endpoints'> {
  runtime: Runtime;
  peers: Peers;
  state: NodeState;
  isStorage: boolean;
  announce: Announcement | undefined;
}

export class Place {
  readonly reachability: Reachability;
  private readonly parts: PlaceParts;
  private listening: Endpoint | undefined;
  private forwarded: Endpoint | undefined;

  constructor(parts: PlaceParts) {
    this.parts = parts;
    this.reachability = new Reachability({
      ...{ clock: parts.runtime.clock, peers: parts.peers, overlay: parts.overlay, changed: parts.changed },
      endpoints: () => this.dialled(),
    });
  }

  /** On the port of the time before, unless one is wanted or that one is taken. */
  async listen(wanted: Endpoint): Promise<void> {
    this.listening = await this.firstFree(wanted);
    this.reachability.start();
  }

  private async firstFree(wanted: Endpoint): Promise<Endpoint> {
    const { peers, state, isStorage } = this.parts;
    // The state is shared with the clients of this device: the port in it is the storage node's, where others look for it.
    const remembered = isStorage ? Number((await state.setting('port')) ?? 0) : 0;
    const ports = wanted.port === 0 && remembered > 0 ? [remembered, 0] : [wanted.port];
    for (const port of ports) {
      try {
        const got = await peers.listen({ host: wanted.host, port });
        if (isStorage) await state.set('port', String(got.port));
        return got;
      } catch (error) {
        if (port === 0 || !(error instanceof InfinitError) || ports.length === 1) throw error;
      }
    }
    throw new InfinitError('unavailable', `cannot listen on ${wanted.host}`);
  }

  /** Where others may dial this node, its own port first; empty when it does not listen. */
  dialled(): Endpoint[] {
    if (this.listening === undefined) return [];
    const { port } = this.listening;
    const own = this.isAnywhere ? this.parts.runtime.transport.localAddresses() : [this.listening.host];
    const here = announcedHosts(own, this.parts.announce).map((host) => ({ host, port }));
    if (this.forwarded === undefined) return here;
    return [...here.slice(0, limits.recordEndpointsMax - 1), this.forwarded];
  }

  private get isAnywhere(): boolean {
    return this.listening?.host === '0.0.0.0' || this.listening?.host === '::';
  }

  /** The port at which it listens at that address of this machine. */
  portAt(address: string): number | undefined {
    return this.isAnywhere || this.listening?.host === address ? this.listening?.port : undefined;
  }

  /** The router passes on to this node what comes there; undefined: nothing any more. */
  forward(at: Endpoint | undefined): void {
    this.forwarded = at && isTold(at.host, this.parts.announce) ? at : undefined;
    this.parts.changed();
    this.reachability.start();
  }

  /** Where others reach this node, relays included. */
  endpoints(): Endpoint[] {
    return fewer([...this.dialled(), ...this.reachability.relayed()], limits.recordEndpointsMax);
  }

  /** A client of this device tries the storage node of this device too; that one says here where it is, and that it is one. */
  async sameDevice(): Promise<Endpoint[]> {
    const { state, isStorage } = this.parts;
    if (!isStorage) return state.told();
    await state.setDrained(false);
    await state.tell(this.dialled());
    return [];
  }

  /** `drained`: this node is not to run again before a person says so. */
  async stop(drained: boolean): Promise<void> {
    this.reachability.stop();
    if (drained) await this.parts.state.setDrained(true);
  }
}
