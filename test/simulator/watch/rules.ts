// The rules the simulator watches: the numbered invariants of docs/protocols.md, and what a user was promised. A checker names
// the rule it found broken.

/** Each with what is asserted here. */
export const rules = {
  R1: 'every position has a live entry in its list or spare list (at rest)',
  R2: 'one ring, which every position reaches (at rest)',
  R3: 'the ring goes around once (at rest)',
  R4: 'lists are clockwise, without duplicates or the position itself (always)',
  R6: 'after quiet time lists, predecessors and memberships are exact',
  G1: 'chosen states of a register form one chain, one state a ballot',
  G2: 'configurations never go back along the chain',
  G3: 'a completed write is in every later read',
  G4: 'reads never go back',
  G5: 'a member votes only under the id of the store it has',
  G6: 'what was answered is durable; what a silo acknowledged is there after every restart',
  G7: 'a blank member promises nothing without evidence',
  G8: 'the committed version of a member never goes back',
  I1: 'bytes served hash to the address',
  I2: 'a put acknowledged is on a quorum of distinct nodes, and stays on those it was acknowledged by',
  I3: 'no copy is dropped unless enough others hold it',
  L1: 'an acknowledged operation is in the state of every later active epoch',
  L2: 'a deposed leader acknowledges nothing that is not in the state of its successor',
  L3: 'each operation of a client takes effect at most once',
  L4: 'at most one leader reads locally',
  L5: 'epoch, applied and generation of a root never go back',
  L6: 'all blocks of a chosen root are stored and acknowledged',
  L7: 'a fence never goes back at a member',
  L8: 'nothing is answered in an epoch before its root is active',
  K2: 'nothing is granted that excludes a lock its owner may still believe in',
  K3: 'what is written under a lock is there for whoever locks next, and nothing written under a lock that is over is',
  K4: 'a session of locks is recorded before it has begun',
  E1: 'blocks that roots reach are held, by those who acknowledged them',
  E2: 'a sweep touches blocks of its own tree only',
  E3: 'no sweep of a generation before it is chosen in the root',
  linearizable: 'histories of keys fit one order of operations',
  durable: 'what was acknowledged is read by every client after everything restarted',
  files: 'a volume does what the model in memory does',
  drained: 'nobody needs what a node has that says it is drained',
  zones: 'copies and members stand in distinct zones, as far as there are enough',
  converged: 'after faults end every register has its members and every node its place',
  progress: 'what runs in the nodes ends without errors that no fault explains',
} as const;
export type Rule = keyof typeof rules;

export interface Violation {
  rule: Rule;
  atMs: number;
  message: string;
}

/** Told of what is broken. */
export type Report = (rule: Rule, message: string) => void;
