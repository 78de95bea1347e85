// Registers as their clients see them (G3, G4): versions are decided positions, so a history fits an order of operations exactly
// when no operation answers a version below one that had been answered before it began, and one version is one value.

import type { Report } from './rules.ts';

interface Past {
  /** When operations ended, ascending, with the highest version answered by then. */
  ends: number[];
  versions: number[];
  hashes: Map<number, string>;
}

export class RegisterHistory {
  operations = 0;
  private readonly report: Report;
  private readonly registers = new Map<string, Past>();

  constructor(report: Report) {
    this.report = report;
  }

  /** `begin` and `end` in virtual time; `wrote`: it made a version of its own. */
  ended(
    at: { address: string; by: string; begin: number; end: number },
    seen: { version: number; hash: string; wrote: boolean },
  ): void {
    this.operations++;
    const past: Past = this.registers.get(at.address) ?? { ends: [], versions: [], hashes: new Map() };
    this.registers.set(at.address, past);
    const before = highestBefore(past, at.begin);
    const what = `${at.by} ${seen.wrote ? 'wrote' : 'read'} version ${seen.version} of ${at.address.slice(0, 12)}`;
    if (seen.version < before || (seen.wrote && seen.version === before))
      this.report(seen.wrote ? 'G3' : 'G4', `${what}, though ${before} was answered before it began`);
    const known = past.hashes.get(seen.version);
    if (known !== undefined && known !== seen.hash)
      this.report('G1', `${what}, which is another value to somebody else`);
    past.hashes.set(seen.version, seen.hash);
    const last = past.versions.at(-1) ?? 0;
    past.ends.push(at.end);
    past.versions.push(Math.max(last, seen.version));
  }
}

function highestBefore({ ends, versions }: Past, time: number): number {
  let low = 0;
  for (let high = ends.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((ends[middle] as number) < time) low = middle + 1;
    else high = middle;
  }
  return versions[low - 1] ?? 0;
}
