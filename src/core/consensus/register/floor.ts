// The ballot below which a store agrees to nothing it does not know (docs/protocols.md 2.3 rule 4): one a store, in place of the
// promises of all registers it has forgotten. Without it a late accept would bring back what has moved on (model run X7).

import { decode, encode } from '../../base/codec.ts';
import { isError } from '../../base/errors.ts';
import { labelledHash } from '../../crypto/hash.ts';
import type { Silo, SiloEntry } from '../../silo/silo.ts';
import { type Ballot, ballot, higherBallot, zeroBallot } from './ballot.ts';

const key = labelledHash('register-floor');

export class Floor {
  private readonly silo: Silo;
  private loading: Promise<void> | undefined;
  private value = zeroBallot;

  constructor(silo: Silo) {
    this.silo = silo;
  }

  /** Known once `load` has resolved. */
  get current(): Ballot {
    return this.value;
  }

  /** Throws what the silo throws: a store that does not know its floor must not vote. */
  load(): Promise<void> {
    this.loading ??= this.read().catch((error: unknown) => {
      this.loading = undefined;
      throw error;
    });
    return this.loading;
  }

  /** The entry that makes it at least that ballot; durable before, or together with, the end of the records it stands for. */
  raise(promised: Ballot): SiloEntry {
    this.value = higherBallot(this.value, promised);
    return { space: 'meta', key, value: encode(ballot, this.value) };
  }

  private async read(): Promise<void> {
    try {
      this.value = higherBallot(this.value, decode(ballot, await this.silo.get('meta', key)));
    } catch (error) {
      if (!isError(error, 'not-found')) throw error;
    }
  }
}
