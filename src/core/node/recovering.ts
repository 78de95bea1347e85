// The owner's last resort (docs/protocols.md 2.11): registers of a network of which a majority of the members is lost for good are
// begun anew with what is left. First the network register, which names the others; then the roots of trees the user owns.

import { type Bytes, equalBytes, fromBase64, toHex } from '../base/bytes.ts';
import { decode, encode } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { type Address, type Member, memberName } from '../block/address.ts';
import type { LostRegister, RecoveryFacts, Running } from '../cli/running.ts';
import { type JournalSegment, rootHeader } from '../consensus/consensus.ts';
import type { Survey } from '../consensus/register/founding.ts';
import { getLink } from '../descriptor/links.ts';
import { decodeNetworkState } from '../store/network-register.ts';
import { type Context, type LinkedNode, openLinkedNode } from './link.ts';
import { seedsOf } from './serving.ts';

interface Found {
  readonly facts: LostRegister;
  readonly survey: Survey;
  readonly change: (payload: Bytes) => Bytes;
}

export const recoverNetwork: Running['recoverNetwork'] = async ({ context, as, name, peers, confirm, signal }) => {
  const link = await getLink(context, as, name);
  const linked = await openLinkedNode({ context, as, network: link.name, role: 'client' });
  try {
    await linked.node.start(seedsOf({ ...(peers && { peers }) }, linked), { signal });
    const facts = await recover(linked, { names: await treeNames(context), confirm, signal });
    return { ...facts, name: link.name };
  } finally {
    await linked.close();
  }
};

export interface RecoverOptions extends Abortable {
  /** Of trees this device knows, by id. */
  names: ReadonlyMap<string, string>;
  /** Asked before anything is changed, with what is lost. Throws to give up. */
  confirm(facts: RecoveryFacts): Promise<void>;
}

/**
 * Throws `unavailable` when no copy of the network register is within reach, `denied` when something is lost and none of it is the
 * user's own: only who owns a register begins it anew.
 */
export async function recover(linked: LinkedNode, { names, confirm, signal }: RecoverOptions): Promise<RecoveryFacts> {
  const { node, user } = linked;
  const { registers } = node;
  const address = addressOf(linked);
  const network = await registers.survey(address, { signal });
  if (network.newest === undefined)
    throw new InfinitError('unavailable', 'no node that answers has a copy of the network register', {
      hint: 'give the endpoint of a node that is left: --peer HOST:PORT',
    });
  const found: Found[] = [];
  const note = (what: LostRegister['what'], name: string | null, survey: Survey, change: Found['change']) => {
    const { newest, holders, missing, isLost } = survey;
    if (!isLost || newest === undefined) return;
    const owned = equalBytes(newest.image.state.access.owner, user.publicKey);
    const nodes = missing.map((member) => toHex(member.node));
    const members = holders.length + missing.length;
    found.push({ facts: { what, name, members, copies: holders.length, missing: nodes, owned }, survey, change });
  };
  note('network', null, network, (payload) => payload);
  const { trees } = decodeNetworkState(network.newest.image.state.value.payload);
  for (const { treeId, root } of trees) {
    const survey = await registers.survey(root, { signal });
    const id = toHex(treeId);
    note('tree', names.get(id) ?? `#${id.slice(0, 8)}`, survey, (payload) => withoutLost(payload, survey.present));
  }
  const facts = { checked: 1 + trees.length, lost: found.map((each) => each.facts) };
  const own = found.filter((each) => each.facts.owned);
  if (found.length === 0) return facts;
  if (own.length === 0)
    throw new InfinitError('denied', 'what is lost belongs to others: only its owners can begin it anew', {
      data: { ...facts },
    });
  await confirm(facts);
  for (const { survey, change } of own) await registers.recover(survey, user, change, { signal });
  return facts;
}

/** The root of a tree without the members of its journal that are lost: whoever leads next asks those that are left. */
export function withoutLost(payload: Bytes, present: ReadonlyMap<string, Member>): Bytes {
  const header = decode(rootHeader, payload);
  const segments: JournalSegment[] = [];
  const ordered = [...header.segments].sort((a, b) => a.start - b.start);
  for (const [i, segment] of ordered.entries()) {
    const members = segment.members.filter((member) => present.has(memberName(member)));
    if (members.length > 0) segments.push({ ...segment, members });
    // What stood in it alone is gone; so is what followed, unless the root has it all.
    else if ((ordered[i + 1]?.start ?? Number.POSITIVE_INFINITY) > header.applied + 1) break;
  }
  return encode(rootHeader, { ...header, segments });
}

function addressOf({ node }: LinkedNode): Address {
  const { founding, name } = node.network();
  if (founding === null) throw new InfinitError('not-found', `network "${name}" is not founded yet`);
  return fromBase64(founding.register);
}

async function treeNames(context: Context): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const kind of ['volume', 'key-value-store'] as const)
    for (const { name, descriptor } of await context.repository.list(kind))
      names.set(toHex(fromBase64(descriptor.tree_id)), name);
  return names;
}
