// Whether others can dial this node, as some of them find when they are asked to try; while one cannot, this node names relays: nodes it is
// connected to, and stays connected to, that others reach.

import { equalBytes } from '../base/bytes.ts';
import { limits } from '../base/limits.ts';
import type { NodeId } from '../block/address.ts';
import type { Overlay } from '../overlay/overlay.ts';
import type { Peer, Peers } from '../peer/peer.ts';
import { relayReach, tellable } from '../peer/relay-messages.ts';
import { isRelayed, relayedEndpoint } from '../peer/relayed-endpoint.ts';
import type { Cancel, Clock, Endpoint } from '../runtime/runtime.ts';

/** Something happened: others have had the time to hear of it. */
const soonMs = 1000;
/** While nobody has answered, or relays are wanted. */
const wantingPeriodMs = 10_000;

export interface ReachabilityParts {
  clock: Clock;
  peers: Peers;
  overlay: Pick<Overlay, 'record'>;
  /** Where this node may be dialled. */
  endpoints: () => readonly Endpoint[];
  /** The relays are others now. */
  changed: () => void;
}

interface Relay {
  readonly id: NodeId;
  readonly at: Endpoint;
}

export class Reachability {
  private readonly parts: ReachabilityParts;
  private relays: readonly Relay[] = [];
  private found: boolean | undefined;
  private cancel: Cancel = () => {};
  private stopped = false;
  private turn = 0;

  constructor(parts: ReachabilityParts) {
    this.parts = parts;
    const { events } = parts.peers;
    events.on('connected', ({ identity }) => {
      if (this.found === undefined && identity.kind === 'storage') this.lookIn(soonMs);
    });
    events.on('disconnected', ({ id }) => {
      if (this.relays.some((relay) => equalBytes(relay.id, id))) void this.look();
    });
  }

  /** Undefined before anybody was asked. */
  get reached(): boolean | undefined {
    return this.found;
  }

  /** Where relays carry to this node; none while others can dial it. */
  relayed(): Endpoint[] {
    const node = this.parts.peers.self.id;
    return this.relays.map(({ id, at }) => relayedEndpoint({ node, relay: id, at }));
  }

  /** Looks soon; and again, where it may be dialled elsewhere now. */
  start(): void {
    this.lookIn(soonMs);
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
  }

  private lookIn(delayMs: number): void {
    this.cancel();
    if (!this.stopped) this.cancel = this.parts.clock.after(delayMs, () => void this.look());
  }

  private async look(): Promise<void> {
    this.cancel();
    const turn = ++this.turn;
    const said = await Promise.all(
      this.candidates()
        .slice(0, limits.reachAskedMax)
        .map((peer) => this.ask(peer)),
    );
    if (this.stopped || turn !== this.turn) return;
    const answers = said.filter((one) => one !== undefined);
    // Whoever says so falsely only makes this node name relays besides.
    if (answers.length > 0) this.found = answers.every((reached) => reached);
    this.choose();
    const wanting = this.found === undefined || (!this.found && this.relays.length < limits.relaysMax);
    this.lookIn(wanting ? wantingPeriodMs : limits.reachPeriodMs);
  }

  /** The nearest first. */
  private candidates(): Peer[] {
    return this.parts.peers
      .connected()
      .filter((peer) => peer.open && peer.relay === undefined && peer.identity.kind === 'storage')
      .sort((a, b) => (a.roundTripMs ?? 0) - (b.roundTripMs ?? 0));
  }

  private async ask(peer: Peer): Promise<boolean | undefined> {
    const request = { endpoints: tellable(this.parts.endpoints()) };
    const answer = peer.call(relayReach, request).catch(() => undefined); // it is busy, or gone
    return (await answer)?.reached;
  }

  /** Those that serve stay. */
  private choose(): void {
    const candidates = this.found === false ? this.candidates() : [];
    const isThere = ({ id }: Relay) => candidates.some((peer) => equalBytes(peer.id, id));
    const kept = this.relays.filter(isThere);
    for (const peer of candidates) {
      if (kept.length >= limits.relaysMax) break;
      const at = this.placeOf(peer);
      if (at !== undefined && !kept.some(({ id }) => equalBytes(id, peer.id))) kept.push({ id: peer.id, at });
    }
    const same = kept.length === this.relays.length && kept.every((relay, i) => relay === this.relays[i]);
    this.relays = kept;
    if (!same) this.parts.changed();
  }

  /** Where others dial it: best as this node did; undefined when it is carried to itself. */
  private placeOf({ id, remote }: Peer): Endpoint | undefined {
    const endpoints = this.parts.overlay.record(id)?.endpoints ?? [];
    if (endpoints.some(isRelayed)) return undefined;
    return endpoints.find(({ host, port }) => host === remote.host && port === remote.port) ?? endpoints[0];
  }
}
