// Arithmetic of register configurations: majorities, joint quorums, and which configuration may follow which
// (docs/protocols.md 2.1, 2.5).

import type { Bytes } from '../../base/bytes.ts';
import { type Member, memberName, sameMember, sameMembers } from '../../block/address.ts';
import type { RegisterConfig } from '../../block/register.ts';

export function isMajority(members: readonly Member[], has: (member: Member) => boolean): boolean {
  return members.filter(has).length * 2 > members.length;
}

/** A majority of the current set and, while joint, of the previous one. Both, always: either alone forks the register. */
export function isQuorum(config: RegisterConfig, has: (member: Member) => boolean): boolean {
  return isMajority(config.current, has) && (config.previous === undefined || isMajority(config.previous, has));
}

/** Every member that has a say, each once. */
export function votersOf(...configs: readonly RegisterConfig[]): Member[] {
  const voters = new Map<string, Member>();
  for (const { current, previous } of configs)
    for (const member of [...current, ...(previous ?? [])]) voters.set(memberName(member), member);
  return [...voters.values()];
}

export function hasMember(members: readonly Member[] | undefined, member: Member): boolean {
  return members?.some((other) => sameMember(other, member)) ?? false;
}

export function sameConfig(a: RegisterConfig, b: RegisterConfig): boolean {
  if (a.generation !== b.generation) return false;
  if ((a.previous === undefined) !== (b.previous === undefined)) return false;
  return sameMembers(a.current, b.current) && sameMembers(a.previous ?? [], b.previous ?? []);
}

/** The new members of a joint configuration. */
export function isJoining(config: RegisterConfig, member: Member): boolean {
  return config.previous !== undefined && hasMember(config.current, member) && !hasMember(config.previous, member);
}

/** Joint towards other members. Throws nothing: callers see to it that the configuration is simple. */
export function enterJoint(config: RegisterConfig, members: readonly Member[]): RegisterConfig {
  return { generation: config.generation + 1, current: [...members], previous: config.current };
}

/** The simple configuration a joint one leads to; a simple one stays. */
export function leaveJoint(config: RegisterConfig): RegisterConfig {
  if (config.previous === undefined) return config;
  return { generation: config.generation + 1, current: config.current, previous: undefined };
}

/** G2: the same, or one step further: simple to joint on top of it, or joint to the simple one it leads to. */
export function mayFollow(from: RegisterConfig, to: RegisterConfig): boolean {
  if (to.generation === from.generation) return sameConfig(from, to);
  if (to.generation !== from.generation + 1) return false;
  if (from.previous) return to.previous === undefined && sameMembers(from.current, to.current);
  return to.previous !== undefined && sameMembers(from.current, to.previous);
}

/**
 * The configuration whose quorums a proposal on top of an entry must have, besides its own. A simple configuration that was
 * proposed from a joint one counts alone only once it is known to be chosen: before that somebody who has not heard of the
 * change may still agree without it.
 */
export function baseOf(config: RegisterConfig, from: RegisterConfig, known: boolean): RegisterConfig {
  return known || config.previous !== undefined ? config : from;
}

/** Nodes of members, each once, in order. */
export function nodesOf(members: readonly Member[]): Bytes[] {
  const nodes = new Map<string, Bytes>();
  for (const { node } of members) nodes.set(Buffer.from(node).toString('hex'), node);
  return [...nodes.values()];
}
