// Who may bring a member a configuration that is new to it, and with whom in it (docs/protocols.md 2.8).

import { equalBytes } from '../../base/bytes.ts';
import { memberName } from '../../block/address.ts';
import type { RegisterConfig } from '../../block/register.ts';
import { type AuthorCheck, listedWriter, recoveredAt, type StateImage } from '../../block/register-validity.ts';
import type { PeerIdentity } from '../../peer/peer.ts';
import type { Entry, Refusal } from './messages.ts';
import { leaveJoint, sameConfig, votersOf } from './quorum.ts';

/**
 * One that is held here, or that a change held here leads to, anybody may finish: readers must.
 * Any other is brought by a user whom the access list lets write, by a member as far as is known here, or by a storage node near
 * the register; its new members are certified storage nodes near the register.
 */
export function refuseConfiguration(
  image: StateImage,
  held: Entry | undefined,
  proposer: PeerIdentity,
  authors: Pick<AuthorCheck, 'mayStore'>,
): Refusal | undefined {
  const { config } = image.state;
  const known = held ? [held.image.state.config, held.from] : [];
  // The first one, and the first after a recovery, are the owner's: their members are those he signed.
  if (config.generation === recoveredAt(image.state) || known.some((each) => isOrBecomes(each, config)))
    return undefined;
  const voters = votersOf(...known);
  const names = new Set(voters.map(memberName));
  for (const member of held ? config.current : [])
    if (!names.has(memberName(member)) && !authors.mayStore(member.node, image.address))
      // Passes by itself: who has just started, or lost sight of the ring, meets the others again.
      return { reason: 'a new member is not known here as a storage node', passing: true };
  // Who is blank here knows of no members but those that are named: they vote themselves.
  const isMember = (held ? voters : votersOf(config)).some(({ node }) => equalBytes(node, proposer.id));
  if (proposer.rights.write && listedWriter(image.state.access, proposer.userKey)) return undefined;
  const isStorage = proposer.kind === 'storage' && proposer.rights.storage;
  if (isStorage && (isMember || authors.mayStore(proposer.id, image.address))) return undefined;
  // A storage node may be one that is not seen near yet.
  return { reason: 'who proposes these members is neither a writer nor one of them', passing: isStorage };
}

function isOrBecomes(held: RegisterConfig, config: RegisterConfig): boolean {
  return sameConfig(held, config) || (held.previous !== undefined && sameConfig(leaveJoint(held), config));
}
