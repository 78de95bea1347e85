// Finds out how what two nodes hold in ranges of addresses differs (docs/protocols.md 3): digests of ranges are compared, those
// that differ are cut into parts, and where few blocks are left they are named. Bytes go with the difference and the logarithm
// of what is held. Pure steps; who calls is in `repair.ts`.

import { compareBytes, equalBytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { cut, type Inventory, type InventoryEntry, type Range } from './inventory.ts';
import type { RangeAnswer } from './messages.ts';

export interface Differences {
  /** The other has it, here it is missing or has a lower generation (the other's is told). */
  readonly missing: InventoryEntry[];
  readonly behind: InventoryEntry[];
  /** Here it is, the other lacks it or has it with a lower generation. */
  readonly lacking: InventoryEntry[];
}

/** The holder's side: what to say of each range asked about. Throws `unavailable` before all is counted, `corrupt`. */
export function answerRanges(inventory: Inventory, ranges: readonly (Range & { digest: Uint8Array })[]): RangeAnswer[] {
  if (!inventory.complete) throw new InfinitError('unavailable', 'the blocks of this node are still being counted');
  return ranges.map((range): RangeAnswer => {
    if (compareBytes(range.from, range.to) > 0) throw new InfinitError('corrupt', 'a range ends before it begins');
    if (equalBytes(inventory.digest(range), range.digest)) return { type: 'same' };
    if (inventory.count(range) <= limits.indexEntriesMax)
      return { type: 'entries', entries: inventory.entries(range, limits.indexEntriesMax) };
    return { type: 'parts', digests: cut(range).map((part) => inventory.digest(part)) };
  });
}

/** The asker's side of one comparison: ranges that wait, and the next question. */
export class Comparison {
  private readonly inventory: Inventory;
  private readonly waiting: Range[];
  private asked: Range[] = [];

  constructor(inventory: Inventory, ranges: readonly Range[]) {
    this.inventory = inventory;
    this.waiting = [...ranges].reverse();
  }

  get over(): boolean {
    return this.waiting.length === 0 && this.asked.length === 0;
  }

  /** Ranges that still have to be compared. */
  get left(): number {
    return this.waiting.length + this.asked.length;
  }

  /** What to ask now. */
  question(): (Range & { digest: Buffer })[] {
    this.asked = this.waiting.splice(-limits.indexRangesMax).reverse();
    return this.asked.map(({ from, to }) => ({ from, to, digest: this.inventory.digest({ from, to }) }));
  }

  /** What the answer to the last question tells. Throws `corrupt` for answers that are none. */
  answered(answers: readonly RangeAnswer[]): Differences {
    const found: Differences = { missing: [], behind: [], lacking: [] };
    const asked = this.asked.splice(0);
    if (answers.length !== asked.length) throw new InfinitError('corrupt', 'another number of ranges was asked about');
    for (const [at, range] of asked.entries()) this.note(range, answers[at] as RangeAnswer, found);
    if (this.waiting.length > limits.rangesWaitingMax)
      throw new InfinitError('full', 'too many ranges differ: the rest is compared later');
    return found;
  }

  private note(range: Range, answer: RangeAnswer, found: Differences): void {
    if (answer.type === 'parts') {
      const parts = cut(range);
      if (answer.digests.length !== parts.length) throw new InfinitError('corrupt', 'a range is cut into other parts');
      const differing = parts.filter(
        (part, at) => !equalBytes(this.inventory.digest(part), answer.digests[at] as Buffer),
      );
      this.waiting.push(...differing.reverse());
    } else if (answer.type === 'entries') {
      checkEntries(range, answer.entries);
      differences(this.inventory.entries(range), answer.entries, found);
    }
  }
}

function checkEntries(range: Range, entries: readonly InventoryEntry[]): void {
  for (const [at, { address }] of entries.entries()) {
    const before = at === 0 ? undefined : entries[at - 1]?.address;
    const inOrder = before === undefined || compareBytes(before, address) < 0;
    if (!inOrder || compareBytes(address, range.from) < 0 || compareBytes(address, range.to) > 0)
      throw new InfinitError('corrupt', 'blocks outside of the range asked about, or out of order');
  }
}

/** Both in order of addresses. */
function differences(ours: readonly InventoryEntry[], theirs: readonly InventoryEntry[], found: Differences): void {
  let at = 0;
  for (const their of theirs) {
    let our = ours[at];
    for (; our !== undefined && compareBytes(our.address, their.address) < 0; our = ours[++at]) found.lacking.push(our);
    if (our === undefined || !equalBytes(our.address, their.address)) {
      found.missing.push(their);
      continue;
    }
    if (our.generation < their.generation) found.behind.push(their);
    else if (our.generation > their.generation) found.lacking.push(our);
    at++;
  }
  found.lacking.push(...ours.slice(at));
}
