// One write of a register across attempts (docs/protocols.md 2.4): what it proposes on the state found, and what became of what it
// proposed before. At most one of the values it signs ever becomes part of the register's history.

import { type Bytes, equalBytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { AccessList, RegisterValue, UnsignedAccess } from '../../block/register.ts';
import { listedWriter, type StateImage } from '../../block/register-validity.ts';
import type { KeyPair } from '../../crypto/keys.ts';
import type { NewAccess, RegisterSnapshot } from '../consensus.ts';
import { snapshotOf } from './snapshot.ts';

export interface Next {
  payload: Bytes;
  deleted: boolean;
  /** In the place of the one there is. */
  access?: NewAccess | undefined;
}

export type Change = (current: RegisterSnapshot) => Next;

export type Draft = Omit<RegisterValue, 'signature' | 'author' | 'passportHash'>;

export interface SignedValue {
  value: RegisterValue;
  /** The list it was written under. */
  access: AccessList;
  hash: Bytes;
  done(): void;
}

export class Write {
  private readonly author: KeyPair;
  private readonly apply: Change;
  private readonly tried: SignedValue[] = [];
  /** Why nothing was written, to be thrown once it is certain. */
  failure: { error: unknown } | undefined;

  constructor(author: KeyPair, apply: Change) {
    this.author = author;
    this.apply = apply;
  }

  /** The value to propose on the state found; undefined: agree on what was found, then look at `failure`. */
  async on(
    found: StateImage,
    chosen: boolean,
    sign: (draft: Draft, access: UnsignedAccess | AccessList) => Promise<SignedValue>,
  ): Promise<SignedValue | undefined> {
    const { value, access } = found.state;
    this.failure = undefined;
    for (const earlier of this.tried) {
      const fate = fateOf(earlier, found);
      if (fate === 'written') return undefined;
      if (fate === 'unknown')
        throw new InfinitError('unavailable', 'the outcome of a register write cannot be told any more', {
          data: { outcome: 'unknown' },
        });
      // Its accepts may still arrive: only the same value again is sure to be written once.
      if (value.version === earlier.value.version - 1 && equalBytes(lineageOf(earlier), found.valueHash))
        return earlier;
    }
    let next: Next;
    try {
      if (value.deleted) throw new InfinitError('not-found', 'the register is deleted');
      if (!listedWriter(access, this.author.publicKey))
        throw new InfinitError('denied', 'the access list of the register does not let this user write');
      next = this.apply(snapshotOf(found));
      if (next.access && !equalBytes(access.owner, this.author.publicKey))
        throw new InfinitError('denied', 'only the owner of a register says who reads and writes it');
    } catch (error) {
      this.failure = { error };
      if (chosen && this.tried.length === 0) throw error;
      return undefined;
    }
    const lineage = [found.valueHash, ...value.lineage].slice(0, limits.lineageMax);
    const { payload, deleted } = next;
    const listed = next.access ? following(access, next.access) : access;
    const draft = { version: value.version + 1, lineage, aclVersion: listed.version, payload, deleted };
    const signed = await sign(draft, listed);
    this.tried.push(signed);
    return signed;
  }

  release(): void {
    for (const { done } of this.tried) done();
  }
}

function following({ version, owner }: AccessList, next: NewAccess): UnsignedAccess {
  const { readers, writers, worldReader, worldWrite } = next;
  return { version: version + 1, owner, readers, writers, worldReader, worldWrite };
}

function lineageOf({ value }: SignedValue): Bytes {
  return value.lineage[0] ?? Buffer.alloc(0);
}

/** Whether a value is in the history of a state; unknown when that history reaches back less far. */
function fateOf({ value, hash }: SignedValue, found: StateImage): 'written' | 'not' | 'unknown' {
  const steps = found.state.value.version - value.version;
  if (steps < 0) return 'not';
  const there = steps === 0 ? found.valueHash : found.state.value.lineage[steps - 1];
  if (!there) return 'unknown';
  return equalBytes(there, hash) ? 'written' : 'not';
}
