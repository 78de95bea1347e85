// Ballots order proposals at one register. A round is `max(highest seen + 1, wall milliseconds)`, so ballots are roughly time;
// the proposer's random 8 bytes make every ballot one proposal's alone (docs/protocols.md 2.1).

import { type Bytes, compareBytes } from '../../base/bytes.ts';
import { type Codec, fixed, struct, u48 } from '../../base/codec.ts';

export const proposerBytes = 8;

export interface Ballot {
  round: number;
  proposer: Bytes;
}

export const ballot: Codec<Ballot> = struct({ round: u48, proposer: fixed(proposerBytes) });

/** Below every ballot a proposer uses. */
export const zeroBallot: Ballot = { round: 0, proposer: Buffer.alloc(proposerBytes) };

export function compareBallots(a: Ballot, b: Ballot): number {
  return a.round === b.round ? compareBytes(a.proposer, b.proposer) : a.round - b.round;
}

export function higherBallot(a: Ballot, b: Ballot): Ballot {
  return compareBallots(a, b) >= 0 ? a : b;
}
