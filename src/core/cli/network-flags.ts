// Options that make the model of a network, and the notices for those that older scripts give.

import { Flags } from '@oclif/core';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { AdminChange } from '../descriptor/admins.ts';
import { durationFlag, integerFlag } from './flags.ts';

export const modelFlags = {
  'replication-factor': integerFlag('replication factor', 'copies of each block (default: 3)', 1, limits.membersMax, {
    char: 'r',
  }),
  'eviction-delay': durationFlag('how long a lost node may stay away (default: 10min)', { char: 'e' }),
  'tcp-heartbeat': durationFlag('how often idle connections are tried'),
  paxos: Flags.boolean({ description: 'agree on every change among the copies (default)' }),
  'no-consensus': Flags.boolean({ description: 'one copy only, no agreement', exclusive: ['paxos'] }),
  chord: Flags.boolean({ description: 'overlay for any number of nodes (default)' }),
  kouncil: Flags.boolean({
    description: 'overlay of up to about 1,000 nodes that know one another: advised for small, stable networks',
    exclusive: ['chord'],
  }),
  kalimero: Flags.boolean({ description: 'overlay of one node', exclusive: ['chord', 'kelips', 'kouncil'] }),
  kelips: Flags.boolean({ description: 'accepted for older scripts: means chord', exclusive: ['kouncil'] }),
  k: Flags.string({ description: 'accepted for older scripts: no effect', helpValue: 'NUMBER' }),
};
/** Those a network can change to. */
export const overlayFlags = { chord: modelFlags.chord, kouncil: modelFlags.kouncil };
export const zoneFlag = {
  zone: Flags.string({ description: 'place of this node; copies are spread over zones', helpValue: 'ZONE' }),
};
export const protocolFlag = {
  protocol: Flags.string({ description: 'accepted for older scripts: tcp', helpValue: 'PROTOCOL' }),
};

interface ModelFlagValues {
  'replication-factor'?: number | undefined;
  'eviction-delay'?: number | undefined;
  'tcp-heartbeat'?: number | undefined;
  'no-consensus': boolean;
  kalimero: boolean;
  kouncil: boolean;
  kelips: boolean;
  k?: string | undefined;
}

/** The options as `createNetwork` takes them. */
export function modelOf(flags: ModelFlagValues) {
  return {
    replicationFactor: flags['replication-factor'],
    evictionDelayMs: flags['eviction-delay'],
    tcpHeartbeatMs: flags['tcp-heartbeat'],
    consensus: flags['no-consensus'] ? ('none' as const) : ('paxos' as const),
    overlay: overlayOf(flags) ?? ('chord' as const),
  };
}

/** The overlay an option names. */
export function overlayOf(flags: { chord?: boolean; kouncil?: boolean; kalimero?: boolean }) {
  return flags.kalimero ? ('kalimero' as const) : changedOverlayOf(flags);
}

/** One a network can change to. */
export function changedOverlayOf(flags: { chord?: boolean; kouncil?: boolean }) {
  if (flags.kouncil) return 'kouncil' as const;
  return flags.chord ? ('chord' as const) : undefined;
}

export function overlayNotices(flags: ModelFlagValues): string[] {
  return flags.kelips || flags.k !== undefined ? ['the Kelips overlay is no more: the network uses Chord'] : [];
}

export function protocolNotice(protocol: string | undefined): string[] {
  if (protocol === undefined) return [];
  if (protocol !== 'tcp' && protocol !== 'all') {
    throw new InfinitError('unsupported', `protocol ${protocol} is not supported`, { hint: 'nodes talk TLS over TCP' });
  }
  return ['--protocol has no effect: nodes always talk TLS over TCP'];
}

function usersFlag(description: string) {
  return Flags.string({
    description: `${description}; repeatable`,
    helpValue: 'USER',
    multiple: true,
    multipleNonGreedy: true,
  });
}

export const adminFlags = {
  'admin-r': usersFlag('user who reads all that is shared in the network'),
  'admin-rw': usersFlag('user who reads and writes all that is shared in the network'),
};
export const adminRemoveFlag = { 'admin-remove': usersFlag('user who is no admin any more') };

interface AdminFlagValues {
  'admin-r'?: string[] | undefined;
  'admin-rw'?: string[] | undefined;
  'admin-remove'?: string[] | undefined;
}

/** Throws `unsupported` for groups: nodes know keys of users only. */
export function adminsFrom(flags: AdminFlagValues): AdminChange {
  const { 'admin-r': r, 'admin-rw': rw, 'admin-remove': remove } = flags;
  const group = [r, rw, remove].flatMap((names) => names ?? []).find((name) => name.startsWith('@'));
  if (group === undefined) return { r, rw, remove };
  throw new InfinitError('unsupported', `${group}: groups are no admins of a network`, { hint: 'name its members' });
}

export const adminNotices = [
  'INFO: Changes to network admins do not affect existing data:',
  'INFO: each volume and key-value store has them when its list is',
  'INFO: written next (infinit acl set), or when it is made.',
];
