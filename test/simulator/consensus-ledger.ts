// Watches what becomes durable at every store and judges it from outside: G1 and G2 over all entries accepted, promises that
// never go back (G6), journal fences that never go back (L7).

import { toHex } from '../../src/core/base/bytes.ts';
import { type Member, memberName } from '../../src/core/block/address.ts';
import { type Ballot, compareBallots } from '../../src/core/consensus/register/ballot.ts';
import type { Entry } from '../../src/core/consensus/register/messages.ts';
import { isQuorum } from '../../src/core/consensus/register/quorum.ts';
import { decodeRecord } from '../../src/core/consensus/register/record.ts';
import type { SiloEntry } from '../../src/core/silo/silo.ts';
import { idOf, networkId } from './consensus-cluster.ts';

interface Proposal {
  entry: Entry;
  by: Set<string>;
}

export class Ledger {
  readonly violations: string[] = [];
  private readonly promised = new Map<string, Ballot>();
  private readonly fences = new Map<string, number>();
  private readonly proposals = new Map<string, Map<string, Proposal>>();

  written(host: string, storeId: Buffer, entries: readonly SiloEntry[]): void {
    const member = { node: idOf(host), store: storeId };
    for (const { space, key, value } of entries) {
      if (!value) continue;
      if (space === 'register') this.register(member, toHex(key), Buffer.from(value));
      // Format 1, tree 32, fence 8.
      else if (space === 'journal' && toHex(key).slice(32, 40) === 'ffffffff')
        this.fence(`${memberName(member)} ${toHex(key)}`, Number(Buffer.from(value).readBigUInt64BE(33)));
    }
  }

  /** Chosen entries of every register, in the order of ballots. */
  chosen(): Entry[][] {
    return [...this.proposals.values()].map((all) =>
      [...all.values()]
        .filter(({ entry, by }) => {
          const has = (m: Member) => by.has(memberName(m));
          return isQuorum(entry.from, has) && isQuorum(entry.image.state.config, has);
        })
        .map(({ entry }) => entry)
        .sort((a, b) => compareBallots(a.ballot, b.ballot)),
    );
  }

  judge(): void {
    for (const entries of this.chosen())
      for (const [i, entry] of entries.entries()) {
        const before = entries[i - 1];
        if (!before) continue;
        if (!extends_(entry, before)) this.violations.push('G1: chosen states do not form a chain');
        if (entry.image.state.config.generation < before.image.state.config.generation)
          this.violations.push('G2: a configuration went back');
      }
  }

  private register(member: Member, address: string, value: Buffer): void {
    const record = decodeRecord(networkId, value);
    const at = `${memberName(member)} ${address}`;
    const before = this.promised.get(at);
    if (before && compareBallots(record.promised, before) < 0) this.violations.push(`a promise went back at ${at}`);
    this.promised.set(at, record.promised);
    if (!record.accepted) return;
    const all = this.proposals.get(address) ?? new Map<string, Proposal>();
    this.proposals.set(address, all);
    const { ballot } = record.accepted;
    const name = `${ballot.round}/${toHex(ballot.proposer)}`;
    const proposal = all.get(name) ?? { entry: record.accepted, by: new Set<string>() };
    if (toHex(proposal.entry.image.hash) !== toHex(record.accepted.image.hash))
      this.violations.push(`two states at ballot ${name}`);
    all.set(name, proposal);
    proposal.by.add(memberName(member));
  }

  private fence(at: string, fence: number): void {
    if (fence < (this.fences.get(at) ?? 0)) this.violations.push(`L7: a fence went back at ${at}`);
    this.fences.set(at, fence);
  }
}

/** As far back as lineages reach. */
function extends_(later: Entry, earlier: Entry): boolean {
  const steps = later.image.state.value.version - earlier.image.state.value.version;
  if (steps < 0) return false;
  const there = steps === 0 ? later.image.valueHash : later.image.state.value.lineage[steps - 1];
  return there === undefined || toHex(there) === toHex(earlier.image.valueHash);
}
