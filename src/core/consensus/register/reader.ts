// The fast read: one round of `read`, and a decision whether what was heard proves a state to be the latest chosen one
// (docs/protocols.md 2.4; runs A3, A7, A9, A10). The newest of a majority without such a proof is no linearizable read (X6).

import type { Bytes } from '../../base/bytes.ts';
import { type Member, memberName } from '../../block/address.ts';
import { recoveredAt } from '../../block/register-validity.ts';
import { compareBallots } from './ballot.ts';
import { compareEntries, type Entry } from './messages.ts';
import { isQuorum, nodesOf, votersOf } from './quorum.ts';

export interface Report {
  member: Member;
  entry: Entry;
  committed: boolean;
}

/** The agreed entry, when the reports prove one. Blank and silent members report nothing. */
export function agreedEntry(reports: readonly Report[]): Entry | undefined {
  const newest = newestEntry(reports);
  if (!newest) return undefined;
  const all = names(reports);
  // What was agreed on before the owner recovered the register is over.
  const standing = reports.filter(({ entry }) => recoveredAt(entry.image.state) === recoveredAt(newest.image.state));
  const { config } = newest.image.state;
  // Somebody knows it to be chosen, and a quorum knows nothing higher.
  if (reports.some((r) => r.committed && isSame(r.entry, newest)) && isQuorum(config, (m) => all.has(memberName(m))))
    return newest;
  // Accepted by quorums of its own configuration and of the one it was proposed from: chosen.
  const tried: Entry[] = [];
  for (const { entry } of standing) {
    if (tried.some((other) => isSame(other, entry))) continue;
    tried.push(entry);
    const same = names(reports.filter((r) => isSame(r.entry, entry)));
    const has = (member: Member) => same.has(memberName(member));
    if (isQuorum(entry.image.state.config, has) && isQuorum(entry.from, has)) return entry;
  }
  return undefined;
}

export function newestEntry(reports: readonly Report[]): Entry | undefined {
  let newest: Entry | undefined;
  for (const { entry } of reports) if (!newest || compareEntries(entry, newest) > 0) newest = entry;
  return newest;
}

/** Nodes of every configuration heard of: who else is worth asking. */
export function reportedNodes(reports: readonly Report[]): Bytes[] {
  return nodesOf(votersOf(...reports.flatMap(({ entry }) => [entry.image.state.config, entry.from])));
}

function names(reports: readonly Report[]): Set<string> {
  return new Set(reports.map(({ member }) => memberName(member)));
}

function isSame(a: Entry, b: Entry): boolean {
  return compareBallots(a.ballot, b.ballot) === 0;
}
