// Agreeing on a next state of one register, attempt after attempt, until one is chosen (docs/protocols.md 2.4). What the next
// state is, the caller decides for each state found; it is asked again when somebody else was first.

import { InfinitError } from '../../base/errors.ts';
import { checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Member } from '../../block/address.ts';
import type { RegisterConfig } from '../../block/register.ts';
import type { StateImage } from '../../block/register-validity.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { RegisterOptions } from '../consensus.ts';
import type { Ballot } from './ballot.ts';
import type { Conversation } from './conversation.ts';
import type { Courier } from './courier.ts';
import type { Place, Places } from './places.ts';
import { type Attempt, beginAccept, beginPrepare, isChosen, isSettled, propose } from './proposer.ts';
import { nodesOf, votersOf } from './quorum.ts';

const backOffMs = 10;
const backOffMaxMs = 1000;
/** Attempts refused for other reasons than ballots before the reason is passed on: some pass by themselves. */
const denialsMax = 4;

/** Deadline and tries of one operation. */
export class Patience {
  private readonly runtime: Runtime;
  private readonly signal: AbortSignal | undefined;
  private readonly until: number;
  readonly hint: readonly Member[] | undefined;
  tries = 0;

  constructor(runtime: Runtime, { signal, timeoutMs, members }: RegisterOptions = {}) {
    this.runtime = runtime;
    this.signal = signal;
    this.hint = members;
    this.until = runtime.clock.monotonic() + (timeoutMs ?? limits.registerOperationTimeoutMs);
  }

  /** Waits before another try, longer each time. Throws `unavailable` past the deadline, `cancelled`. */
  async again(outcome: 'none' | 'unknown', why: string): Promise<void> {
    const longest = Math.min(backOffMs * 2 ** this.tries, backOffMaxMs);
    const delay = longest / 2 + this.runtime.random.below(longest);
    this.tries++;
    checkSignal(this.signal);
    if (this.runtime.clock.monotonic() + delay > this.until)
      throw new InfinitError('unavailable', why, { data: { outcome } });
    await this.runtime.clock.sleep(delay, { signal: this.signal });
  }
}

export interface Found {
  image: StateImage;
  /** Known to be chosen. What is not may never have been said: nothing must be concluded from it alone. */
  chosen: boolean;
  /** Its configuration is known to be agreed on. One that is not must not be changed. */
  settled: boolean;
}

/** The next state on the one found, or the one found to agree on that; throws to give up. */
export type Build = (found: Found) => Promise<StateImage>;

/** What was chosen, and the configuration it was proposed from. */
export interface Reached {
  image: StateImage;
  from: RegisterConfig;
}

export interface AgreementParts {
  runtime: Runtime;
  places: Places;
  conversation: Conversation;
  courier: Courier;
}

export class Agreement {
  private readonly parts: AgreementParts;

  constructor(parts: AgreementParts) {
    this.parts = parts;
  }

  /** One at a time for a place: the caller holds its lock. */
  async reach(place: Place, patience: Patience, build: Build): Promise<Reached> {
    let outcome: 'none' | 'unknown' = 'none';
    let denials = 0;
    while (true) {
      const attempt = (await this.fast(place, build)) ?? (await this.full(place, patience, build));
      place.raise(attempt.highest);
      if (attempt.phase === 'chosen' && attempt.proposal) {
        this.chosen(place, attempt.ballot, attempt.proposal.image);
        return attempt.proposal;
      }
      place.promised = undefined;
      if (attempt.proposal) outcome = 'unknown';
      const { denied } = attempt;
      if (denied && !denied.passing && ++denials >= denialsMax) throw new InfinitError('denied', denied.reason);
      const why = attempt.heard ? 'a register could not be agreed on' : 'no member of a register answers';
      await patience.again(outcome, denied?.reason ?? why);
    }
  }

  /** At the ballot promised together with the last accept: one round trip. */
  private async fast(place: Place, build: Build): Promise<Attempt | undefined> {
    const { latest, promised } = place;
    if (!latest || !promised) return undefined;
    place.promised = undefined;
    // What the caller objects to may be outdated: it is asked again on the state that is found.
    const image = await build({ image: latest, chosen: true, settled: true }).catch(() => undefined);
    if (!image) return undefined;
    const step = beginAccept(promised, image, latest.state.config, place.reserve(promised));
    return this.parts.conversation.attempt(place.address, step, latest);
  }

  private async full(place: Place, patience: Patience, build: Build): Promise<Attempt> {
    const { conversation, places, runtime } = this.parts;
    const nodes = await places.nodes(place, patience.hint, patience.tries);
    const ballot = place.nextBallot(runtime.clock.now());
    const prepared = await conversation.attempt(place.address, beginPrepare(ballot, nodes, place.latest), place.latest);
    if (prepared.phase !== 'ready' || !prepared.top) return prepared;
    const image = await build({ image: prepared.top.image, chosen: isChosen(prepared), settled: isSettled(prepared) });
    return conversation.attempt(place.address, propose(prepared, image, place.reserve(ballot)), place.latest);
  }

  /** Remembers, and tells the members when there is occasion. */
  chosen(place: Place, ballot: Ballot, image: StateImage): void {
    const { config } = image.state;
    place.agreed(image, config.previous ? undefined : place.reserve(ballot));
    for (const node of nodesOf(votersOf(config)))
      this.parts.courier.later(node, place.address, { type: 'commit', ballot, hash: image.hash });
  }
}
