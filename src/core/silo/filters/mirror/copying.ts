// Making the silos of a mirror equal beside changes on their way: a value that is gone or rotten in one of them, or all of one that was
// away.

import { equalBytes } from '../../../base/bytes.ts';
import { isError } from '../../../base/errors.ts';
import { Mutex } from '../../../base/lifecycle.ts';
import { type Silo, type SiloKey, type Space, spaces } from '../../silo.ts';
import type { Changes } from './changes.ts';
import type { Members, Present } from './members.ts';
import { isRecord } from './record.ts';

/** Keys compared at once: of the largest values some tens of megabytes. */
const pageKeys = 16;

export class Copying {
  private readonly members: Members;
  private readonly changes: Changes;
  private readonly isOver: () => boolean;
  private readonly turns = new Mutex();

  /** `isOver`: what is long ends early. */
  constructor(members: Members, changes: Changes, isOver: () => boolean) {
    this.members = members;
    this.changes = changes;
    this.isOver = isOver;
  }

  /** Gives a value to those of the mirror that lack it. Throws what reading it threw when no silo has it whole. */
  async mend(space: Space, key: SiloKey): Promise<void> {
    await this.align(space, [key], () => this.members.current, true);
  }

  /**
   * Gives a silo all that the others have, and takes from it what they have not; one that has everything is made equal with them: what
   * one has the others get. Ends early when it is let go.
   */
  async copyTo(member: Present): Promise<void> {
    for (const space of spaces) {
      await this.walk(member, space, this.members.first.silo);
      await this.walk(member, space, member.silo);
    }
  }

  private async walk(member: Present, space: Space, over: Silo): Promise<void> {
    let page: SiloKey[] = [];
    const settle = async () => {
      await this.align(space, page, () => (member.state === 'current' ? this.members.current : [member]), false);
      page = [];
    };
    for await (const key of over.list(space)) {
      if (member.state === 'away' || this.isOver()) return;
      if (!isRecord(space, key)) page.push(key);
      if (page.length === pageKeys) await settle();
    }
    await settle();
  }

  /** `whole`: blocks are read too. */
  private align(space: Space, keys: readonly SiloKey[], to: () => readonly Present[], whole: boolean): Promise<void> {
    if (keys.length === 0) return Promise.resolve();
    return this.turns.run(() =>
      this.changes.watching(space, keys, async (isChanged) => {
        const one = async (key: SiloKey) => {
          if (!whole && space === 'block' && (await this.isSameBlock(key, to()))) return;
          await this.alignOne(space, key, to(), () => isChanged(key));
        };
        await Promise.all(keys.map(one));
      }),
    );
  }

  private async alignOne(space: Space, key: SiloKey, to: readonly Present[], isChanged: () => boolean): Promise<void> {
    const value = await this.goodValue(space, key);
    const lacking: Present[] = [];
    for (const member of to) if (!same(value, await found(member.silo, space, key))) lacking.push(member);
    // Nothing is waited for between this and the calls: a change that begins later comes later.
    if (isChanged()) return;
    const given = await Promise.allSettled(
      lacking.map(({ silo }) => (value === undefined ? silo.delete(space, key) : silo.put(space, key, value))),
    );
    for (const [at, member] of lacking.entries()) {
      const outcome = given[at];
      if (outcome?.status === 'rejected') await this.members.letGo([member], outcome.reason);
    }
  }

  /** Blocks are what their keys say: those of one length that read well are the same. */
  private async isSameBlock(key: SiloKey, to: readonly Present[]): Promise<boolean> {
    const size = await this.members.first.silo.size('block', key);
    if (size === undefined) return false;
    for (const { silo } of to) if ((await silo.size('block', key)) !== size) return false;
    return true;
  }

  /** As the first silo has it that has it whole; undefined when all agree that there is none. */
  private async goodValue(space: Space, key: SiloKey): Promise<Buffer | undefined> {
    let failure: unknown;
    for (const { silo } of this.members.current) {
      try {
        return await silo.get(space, key);
      } catch (error) {
        if (!isError(error, 'not-found')) failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
    return undefined;
  }
}

/** Rotten is as good as none. */
async function found(silo: Silo, space: Space, key: SiloKey): Promise<Buffer | undefined> {
  try {
    return await silo.get(space, key);
  } catch (error) {
    if (isError(error, 'not-found') || isError(error, 'corrupt')) return undefined;
    throw error;
  }
}

function same(one: Buffer | undefined, other: Buffer | undefined): boolean {
  return one === undefined || other === undefined ? one === other : equalBytes(one, other);
}
