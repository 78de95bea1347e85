// Where a node is: the port it listens on, the addresses it tells others, and the relays where those do not lead to it.

import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Peers } from '../peer/peer.ts';
import { fewer } from '../peer/relayed-endpoint.ts';
import type { Endpoint, Runtime } from '../runtime/runtime.ts';
import { type Announcement, announcedHosts } from './announcement.ts';
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

  /** Where others may dial this node; empty when it does not listen. */
  dialled(): Endpoint[] {
    if (this.listening === undefined) return [];
    const { host, port } = this.listening;
    const anywhere = host === '0.0.0.0' || host === '::';
    const own = anywhere ? this.parts.runtime.transport.localAddresses() : [host];
    return announcedHosts(own, this.parts.announce).map((name) => ({ host: name, port }));
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
