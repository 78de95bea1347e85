// The silos of a mirror: who has everything, and the record of it that each of those keeps. Whoever misses a change is let go
// before the change is acknowledged, so that no record of one who has everything names him.

import { fromHex, toHex } from '../../../base/bytes.ts';
import { asError, InfinitError } from '../../../base/errors.ts';
import type { StoreId } from '../../../block/address.ts';
import type { Log } from '../../../runtime/runtime.ts';
import type { Silo, SiloConfig } from '../../silo.ts';
import { recordBytes, writeRecord } from './record.ts';

export interface Member {
  /** Place in the descriptor, from 1. */
  readonly number: number;
  readonly config: SiloConfig;
  /** Undefined: not open. */
  silo: Silo | undefined;
  /** `current` has everything; `joining` is given every change and lacks earlier ones; `away` is given nothing. */
  state: 'current' | 'joining' | 'away';
  /** Mirror's count of changes minus the silo's own. */
  offset: number;
  /** Of its record. */
  recordBytes: number;
}

export type Present = Member & { silo: Silo };

export class Members {
  readonly all: readonly Member[];
  private id: string;
  private generation: number;
  private readonly log: Log;
  /** Highest count ever told: it must not go back when another silo becomes the first. */
  private counted: number;
  private noted: Promise<void> = Promise.resolve();

  constructor(all: readonly Member[], was: { id: string; generation: number; sequence: number }, log: Log) {
    this.all = all;
    this.id = was.id;
    this.generation = was.generation;
    this.counted = was.sequence;
    this.log = log;
  }

  get storeId(): StoreId {
    return fromHex(this.id);
  }

  /** Those that have everything, in the order of the descriptor; the first decides and is read. */
  get current(): Present[] {
    return this.all.filter((member): member is Present => member.state === 'current');
  }

  /** Those that are given changes. */
  get taking(): Present[] {
    return this.all.filter((member): member is Present => member.state !== 'away');
  }

  /** Throws `unavailable` when none is left. */
  get first(): Present {
    const [first] = this.current;
    if (first === undefined) throw nothingLeft();
    return first;
  }

  /** Those that have everything; when all are broken, those that are open. */
  get best(): [Present, ...Present[]] {
    const { current } = this;
    const [first, ...others] = current.length > 0 ? current : this.all.filter(isOpen);
    if (first === undefined) throw nothingLeft();
    return [first, ...others];
  }

  /** Never lower than it was, and never lower than what was acknowledged. */
  sequence(): number {
    const [first] = this.current;
    if (first !== undefined) this.counted = Math.max(this.counted, first.silo.sequence() + first.offset);
    return this.counted;
  }

  /** They missed something; resolves when the others have it on record. */
  letGo(members: readonly Member[], why: unknown): Promise<void> {
    let wasCurrent = false;
    for (const member of members) {
      if (member.state === 'away') continue;
      wasCurrent ||= member.state === 'current';
      member.state = 'away';
      const { message } = asError(why);
      this.log.write('warn', 'silo', `silo ${member.number} of a mirror is behind: ${message}`, {
        type: member.config.type,
      });
    }
    return wasCurrent ? this.note() : this.noted;
  }

  /** It has everything from now on. */
  join(member: Member): Promise<void> {
    member.state = 'current';
    this.log.write('info', 'silo', `silo ${member.number} of a mirror has everything`, { type: member.config.type });
    return this.note();
  }

  /** What was let go by now is on record. */
  settled(): Promise<void> {
    return this.noted;
  }

  renew(id: StoreId): Promise<void> {
    this.id = toHex(id);
    return this.note();
  }

  /** Writes who has everything to all of them, one record after another. Throws `unavailable` when none took it. */
  note(clean = false): Promise<void> {
    this.noted = this.noted.then(() => this.write(clean));
    // Whoever waits is told; nobody may wait.
    this.noted.catch(() => {});
    return this.noted;
  }

  private async write(clean: boolean): Promise<void> {
    for (;;) {
      const { current, id } = this;
      const sequence = this.sequence();
      const generation = ++this.generation;
      const ids = current.map(({ silo }) => toHex(silo.storeId));
      const written = await Promise.allSettled(
        current.map(async (member) => {
          // The record itself is a change of the silo and none of the mirror.
          const offset = sequence - member.silo.sequence() - 1;
          member.offset = offset;
          await writeRecord(member.silo, { id, generation, current: ids, offset, clean });
          member.recordBytes = await recordBytes(member.silo);
        }),
      );
      const failed = current.filter((_, at) => written[at]?.status === 'rejected');
      if (current.length === failed.length) throw nothingLeft();
      if (failed.length === 0) return;
      for (const member of failed) member.state = 'away';
    }
  }
}

function isOpen(member: Member): member is Present {
  return member.silo !== undefined;
}

export function nothingLeft(): InfinitError {
  return new InfinitError('unavailable', 'no silo of the mirror is left');
}
