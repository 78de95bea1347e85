// What a client remembers of each register: who its members were, the state it saw last, and the ballots it used, so that
// repeated writes need one round trip. Losing an entry costs round trips only: the next one proposes under a new name.

import { type Bytes, equalBytes, toHex } from '../../base/bytes.ts';
import { limits } from '../../base/limits.ts';
import type { Address, Member } from '../../block/address.ts';
import { isRecovered, type StateImage } from '../../block/register-validity.ts';
import type { Overlay } from '../../overlay/overlay.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { type Ballot, proposerBytes } from './ballot.ts';
import { nodesOf, votersOf } from './quorum.ts';

/** Node records asked of the overlay beyond the replicas, and known nodes tried at random when those do not help. */
const furtherNodes = limits.successorNodes;
const strangersMax = 16;

export class Place {
  readonly address: Address;
  private readonly proposer: Bytes;
  private round = 0;
  /** The last chosen state this client knows. */
  latest: StateImage | undefined;
  /** Promised by the quorum that chose `latest`: a write on it at this ballot needs no prepare. */
  promised: Ballot | undefined;

  constructor(address: Address, proposer: Bytes) {
    this.address = address;
    this.proposer = proposer;
  }

  /** A ballot never used before, above all seen. */
  nextBallot(now: number): Ballot {
    this.round = Math.max(this.round + 1, now);
    return { round: this.round, proposer: this.proposer };
  }

  /** The ballot to have promised together with an accept at `ballot`. */
  reserve({ round }: Ballot): Ballot {
    this.round = Math.max(this.round, round + 1);
    return { round: round + 1, proposer: this.proposer };
  }

  raise(seen: Ballot): void {
    this.round = Math.max(this.round, seen.round);
  }

  /** After this client had the state chosen, with what was promised for the next. */
  agreed(image: StateImage, promised: Ballot | undefined): void {
    this.latest = image;
    this.promised = promised;
  }

  /** After a read. */
  learn(image: StateImage): void {
    if (this.latest && equalBytes(this.latest.hash, image.hash)) return;
    if (this.latest && !isRecovered(this.latest, image)) {
      if (isRecovered(image, this.latest) || image.state.value.version < this.latest.state.value.version) return;
    }
    this.agreed(image, undefined);
  }
}

export class Places {
  private readonly runtime: Runtime;
  private readonly overlay: Overlay;
  private readonly replicas: number;
  private readonly places = new Map<string, Place>();

  constructor(runtime: Runtime, overlay: Overlay, replicas: number) {
    this.runtime = runtime;
    this.overlay = overlay;
    this.replicas = replicas;
  }

  /** The place of a register, as good as new when it was forgotten. */
  of(address: Address): Place {
    const name = toHex(address);
    const place = this.places.get(name) ?? new Place(address, this.runtime.random.bytes(proposerBytes));
    this.places.delete(name);
    this.places.set(name, place);
    const oldest = this.places.keys().next();
    if (this.places.size > limits.registerRecordsCachedMax && !oldest.done) this.places.delete(oldest.value);
    return place;
  }

  /** Whom to ask, the likeliest first; wider with every try that failed (2.6). */
  async nodes(place: Place, hint: readonly Member[] | undefined, tries: number): Promise<Bytes[]> {
    const known = nodesOf([...(place.latest ? votersOf(place.latest.state.config) : []), ...(hint ?? [])]);
    if (tries === 0 && known.length > 0) return known;
    const count = this.replicas + furtherNodes;
    const owners = await this.overlay.owners(place.address, count, { all: true }).catch(() => []);
    const nodes = new Map([...known, ...owners.map(({ id }) => id)].map((id) => [toHex(id), id]));
    if (tries < 2) return [...nodes.values()];
    const strangers = this.overlay.nodes().filter(({ id }) => !nodes.has(toHex(id)));
    for (let i = 0; i < strangersMax && strangers.length > 0; i++) {
      const [stranger] = strangers.splice(this.runtime.random.below(strangers.length), 1);
      if (stranger) nodes.set(toHex(stranger.id), stranger.id);
    }
    return [...nodes.values()];
  }
}
