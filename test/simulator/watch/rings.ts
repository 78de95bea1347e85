// The ring at live nodes, seen from inside: R4 always, R1 to R3 at rest, R6 after quiet time. And the view every node and
// client has of who is there, whatever the overlay.

import { toHex } from '../../../src/core/base/bytes.ts';
import type { Position } from '../../../src/core/overlay/chord/state.ts';
import type { Overlay } from '../../../src/core/overlay/overlay.ts';
import type { Point } from '../../../src/core/overlay/ring.ts';
import {
  checkIdeal,
  checkLists,
  checkLiveEntry,
  checkOneRing,
  countPrincipals,
  type Members,
} from '../ring-checkers.ts';
import type { Device } from '../whole.ts';
import type { Coverage } from './coverage.ts';
import type { Report, Rule } from './rules.ts';

/** Positions of a Chord storage node; none for clients and other overlays. */
export function positionsOf(overlay: Overlay): readonly Position[] {
  const { machine } = overlay as unknown as { machine?: { ring: { positions: readonly Position[] } } };
  return machine?.ring.positions ?? [];
}

export function membersOf(devices: readonly Device[]): Members {
  const members = new Map<Point, Position>();
  for (const { host, linked } of devices)
    if (host.alive && linked?.isStorage)
      for (const position of positionsOf(linked.node.overlay))
        if (position.joined) members.set(position.self.point, position);
  return members;
}

export class RingChecker {
  private readonly report: Report;
  private readonly coverage: Coverage;

  constructor(report: Report, coverage: Coverage) {
    this.report = report;
    this.coverage = coverage;
  }

  /** At any moment. */
  always(devices: readonly Device[]): void {
    this.tell('R4', checkLists(membersOf(devices)));
  }

  /** No fault for a while; `storage` run. */
  atRest(storage: readonly Device[]): void {
    const members = membersOf(storage);
    this.tell('R1', checkLiveEntry(members));
    const wrong = checkOneRing(members);
    this.tell(wrong?.startsWith('R3') ? 'R3' : 'R2', wrong);
    this.coverage.reach('ring/structure at rest');
    if (members.size > 0 && countPrincipals(members) >= Math.min(members.size, 9))
      this.coverage.reach('ring/R5 at rest');
  }

  /** Undefined when lists, predecessors and views are exact: after quiet time they must be. */
  unsettled(storage: readonly Device[], clients: readonly Device[]): string | undefined {
    const wrong = checkIdeal(membersOf(storage));
    if (wrong) return wrong;
    const wanted = storage.flatMap(({ linked }) => (linked ? [toHex(linked.node.peers.self.id)] : [])).sort();
    for (const { host, linked } of [...storage, ...clients]) {
      if (!linked) continue;
      const seen = linked.node.overlay
        .nodes()
        .map(({ id }) => toHex(id))
        .sort();
      if (seen.join() !== wanted.join())
        return `R6: ${host.name} sees ${seen.map(short).join(' ')}, there are ${wanted.map(short).join(' ')}`;
    }
    return undefined;
  }

  private tell(rule: Rule, wrong: string | undefined): void {
    if (wrong) this.report(rule, wrong);
  }
}

const short = (name: string) => name.slice(0, 6);
