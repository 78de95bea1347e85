// Majorities as the judge counts them: not the project's own arithmetic, so that an error in that is seen.

import { type Member, memberName } from '../../../src/core/block/address.ts';
import type { RegisterConfig } from '../../../src/core/block/register.ts';

function isMajority(set: readonly Member[], has: ReadonlySet<string>): boolean {
  let count = 0;
  for (const member of set) if (has.has(memberName(member))) count++;
  return count > set.length / 2;
}

/** Of the current set, and of the previous one while joint. */
export function isQuorum({ current, previous }: RegisterConfig, has: ReadonlySet<string>): boolean {
  return isMajority(current, has) && (previous === undefined || isMajority(previous, has));
}

/** A member of a joint configuration that was none before it. */
export function isNewIn({ current, previous }: RegisterConfig, member: Member): boolean {
  return previous !== undefined && standsIn(current, member) && !standsIn(previous, member);
}

export function standsIn(set: readonly Member[], member: Member): boolean {
  return set.some((one) => memberName(one) === memberName(member));
}
