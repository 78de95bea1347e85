// People and groups of a directory (LDAP) in a network: passports for the users they have become, groups of the same members, and, for a
// drive, what these may do in its volume and an invitation. Nothing is taken away from anybody.

import { asError, isError } from '../../base/errors.ts';
import type { DriveUser } from '../../descriptor/descriptor.ts';
import type { Entry } from '../directory/directory.ts';
import { dnKey } from '../directory/distinguished-names.ts';
import { asName } from '../directory/patterns.ts';
import type { Roster } from '../directory/roster.ts';
import { type Problem, patiently, userOfEntry } from './directory-users.ts';
import { inviteToDrive, type PassportLimits, passportFor } from './drives.ts';
import type { Sharing } from './sharing.ts';

export interface NetworkPeople extends PassportLimits {
  /** Qualified. */
  network: string;
  roster: Roster;
  /** Reads or sets an attribute of a mounted volume of the network. */
  attribute(name: string, value?: string): Promise<string>;
}

export interface PersonDone {
  dn: string;
  /** The user; absent when he has none on the hub. */
  name?: string;
  /** `pending`: he has not logged in yet. */
  result: 'created' | 'unchanged' | 'pending' | 'failed';
  reason?: string;
}

export interface GroupDone {
  name: string;
  result: 'created' | 'updated' | 'unchanged';
  members: string[];
}

export interface Populated {
  people: PersonDone[];
  groups: GroupDone[];
  problems: Problem[];
}

export async function populateNetwork(sharing: Sharing, asked: NetworkPeople): Promise<Populated> {
  const { roster } = asked;
  const people: PersonDone[] = [];
  for (const entry of roster.people) people.push(await admit(sharing, asked, entry));
  const names = new Map(people.map(({ dn, name, result }) => [dnKey(dn), result === 'failed' ? undefined : name]));
  const problems = [...roster.problems];
  const groups: GroupDone[] = [];
  for (const { name, members } of roster.groups) {
    const users = members.flatMap(({ dn }) => names.get(dnKey(dn)) ?? []);
    try {
      groups.push(await fillGroup(asked, sharing.as, name, users));
    } catch (error) {
      problems.push({ name: `group "${name}"`, reason: asError(error).message });
    }
  }
  return { people, groups, problems };
}

export interface DrivePeople extends NetworkPeople {
  /** Qualified. */
  drive: string;
  permissions: DriveUser['permissions'];
  createHome: boolean;
}

/** Groups, and who was found outside of any, get rights in the volume; everybody an invitation. */
export async function inviteDirectory(sharing: Sharing, asked: DrivePeople): Promise<Populated> {
  const populated = await populateNetwork(sharing, asked);
  const { drive, permissions, createHome, roster } = asked;
  const users = populated.people.flatMap(({ name, result }) => (result !== 'failed' && name ? [name] : []));
  const grouped = new Set(roster.groups.flatMap(({ members }) => members.map(({ dn }) => dnKey(dn))));
  const single = populated.people.filter(({ dn, name }) => users.includes(name ?? '') && !grouped.has(dnKey(dn)));
  const named = [...populated.groups.map(({ name }) => `@${name}`), ...single.map(({ name }) => name as string)];
  const attempt = async (name: string, task: () => Promise<unknown>) => {
    await task().catch((error: unknown) => populated.problems.push({ name, reason: asError(error).message }));
  };
  if (permissions !== 'none')
    for (const name of named) await attempt(name, () => asked.attribute(`infinit.auth.set${permissions}`, name));
  const offer = { drive, createHome, permissions, emails: [], passport: false, push: true };
  const others = users.filter((name) => !drive.startsWith(`${name}/`));
  for (const user of others)
    await attempt(user, () => patiently(sharing, () => inviteToDrive(sharing, { ...offer, users: [user] })));
  return populated;
}

async function admit(sharing: Sharing, asked: NetworkPeople, { dn }: Entry): Promise<PersonDone> {
  try {
    const user = await userOfEntry(sharing, dn);
    if (user === undefined) return { dn, result: 'pending', reason: 'has not logged in yet' };
    const given = { ...asked, passport: true, push: true };
    const made = await patiently(sharing, () => passportFor(sharing, asked.network, user.name, given));
    return { dn, name: user.name, result: made === undefined ? 'unchanged' : 'created' };
  } catch (error) {
    if (!isError(error) || error.kind === 'internal') throw error;
    return { dn, result: 'failed', reason: error.message };
  }
}

/** Made where it is not there, its maker left out unless he is in it; members that are missing are added. */
async function fillGroup(
  { attribute }: NetworkPeople,
  as: string,
  title: string,
  users: readonly string[],
): Promise<GroupDone> {
  const name = asName(title) ?? title;
  const known = await attribute(`infinit.group.list.${name}`).catch(() => undefined);
  if (known === undefined) await attribute('infinit.group.create', name);
  const text = known ?? (await attribute(`infinit.group.list.${name}`));
  const { members } = JSON.parse(text) as { members: string[] };
  const missing = users.filter((user) => !members.includes(user));
  for (const user of missing) await attribute('infinit.group.add', `${name}:${user}`);
  if (known === undefined && !users.includes(as)) await attribute('infinit.group.remove', `${name}:${as}`);
  const result = known === undefined ? 'created' : missing.length > 0 ? 'updated' : 'unchanged';
  return { name, result, members: [...users].sort() };
}
