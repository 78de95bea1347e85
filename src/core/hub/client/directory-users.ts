// People of a directory (LDAP) on a hub: names are kept for them there by an administrator; what users they have become is asked for.

import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { UserDescriptor } from '../../descriptor/descriptor.ts';
import { emailAddress, fullname } from '../../descriptor/schema.ts';
import { checkDescriptor } from '../../descriptor/stream.ts';
import { importUser } from '../../descriptor/users.ts';
import { directoryUsersKept } from '../bodies.ts';
import type { Entry } from '../directory/directory.ts';
import { normalDn } from '../directory/distinguished-names.ts';
import { expand, nameFor } from '../directory/patterns.ts';
import type { DirectoryUser, DirectoryUserKept } from '../hub.ts';
import type { Sharing } from './sharing.ts';

/** Texts with `$(attribute)`, and `%` in that of names. */
export interface UserPatterns {
  username: string;
  email: string;
  fullname: string;
}

export interface Problem {
  name: string;
  reason: string;
}

export interface HubPlan {
  users: (DirectoryUser & { result: DirectoryUserKept['result'] })[];
  problems: Problem[];
}

/** Who would get which name; changes nothing. Who has one that the pattern may give keeps it. */
export async function planUsers(sharing: Sharing, people: readonly Entry[], patterns: UserPatterns): Promise<HubPlan> {
  const problems: Problem[] = [];
  const names = new Set<string>();
  const settled: DirectoryUser[] = [];
  let waiting: Candidate[] = [];
  for (const entry of people) {
    const candidate = candidateOf(entry, patterns);
    if (candidate === undefined) problems.push({ name: entry.dn, reason: 'no name can be made of it' });
    else waiting.push(candidate);
  }
  const done: HubPlan['users'] = [];
  const first = await send(
    sharing,
    waiting.map(({ user }) => user),
    true,
  );
  waiting = waiting.filter((candidate, at) => {
    const { result, name, known } = first[at] as DirectoryUserKept;
    if (result === 'enrolled') done.push({ ...candidate.user, name, result });
    else if (known !== undefined && isOfPattern(candidate, patterns, known))
      settled.push({ ...candidate.user, name: known });
    else return true;
    names.add(known ?? name);
    return false;
  });
  while (waiting.length > 0) {
    const asked = waiting.filter((candidate) => {
      if (chooseName(candidate, patterns, names)) return true;
      problems.push({ name: candidate.entry.dn, reason: `user name "${candidate.user.name}" is taken` });
      return false;
    });
    const told = await send(
      sharing,
      asked.map(({ user }) => user),
      true,
    );
    settled.push(...asked.filter((_, at) => told[at]?.result !== 'taken').map(({ user }) => user));
    waiting = asked.filter((_, at) => told[at]?.result === 'taken');
  }
  const told = await send(sharing, settled, true);
  done.push(...settled.map((user, at) => ({ ...user, result: (told[at] as DirectoryUserKept).result })));
  return { users: done, problems };
}

/** Does what the plan says; what became of each. */
export async function keepUsers(sharing: Sharing, plan: HubPlan): Promise<HubPlan['users']> {
  const isDone = ({ result }: { result: string }) => result === 'enrolled' || result === 'unchanged';
  const open = plan.users.filter((user) => !isDone(user)).map(({ result: _, ...user }) => user);
  const told = await send(sharing, open, false);
  const results = new Map(told.map(({ dn, result }) => [dn, result]));
  return plan.users.map((user) => ({ ...user, result: results.get(user.dn) ?? user.result }));
}

/** The user an entry has become, taken in here; undefined when he has not logged in yet. Throws `not-found` when the hub knows nobody. */
export async function userOfEntry(sharing: Sharing, dn: string): Promise<UserDescriptor | undefined> {
  const { hub, context } = sharing;
  const asking = { what: `fetching LDAP user "${dn}"` };
  let answer: unknown;
  try {
    answer = await patiently(sharing, () => hub.client.ask('GET', `/ldap_users/${encodeURIComponent(dn)}`, asking));
  } catch (error) {
    if (isError(error, 'not-found') && error.data?.error === 'ldap_user/not_enrolled') return undefined;
    throw error;
  }
  const user = checkDescriptor('user', answer);
  if (user.private_key !== undefined) throw new InfinitError('corrupt', 'the hub gives a private key');
  return (await importUser(context, JSON.stringify(user))).descriptor;
}

/** Goes on when the hub has had enough for a moment: a directory is larger than what one user may ask at once. */
export async function patiently<T>({ context }: Sharing, task: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await task();
    } catch (error) {
      if (!isError(error) || error.data?.status !== 429 || tries >= limits.hubPatienceTriesMax) throw error;
      await context.runtime.clock.sleep(limits.hubPatienceMs);
    }
  }
}

interface Candidate {
  entry: Entry;
  user: DirectoryUser;
  tries: number;
}

function candidateOf(entry: Entry, patterns: UserPatterns): Candidate | undefined {
  const name = nameFor(patterns.username, entry, 0);
  if (name === undefined || !passes(normalDn, entry.dn)) return undefined;
  const [mail, full] = [expand(patterns.email, entry), expand(patterns.fullname, entry)];
  const user = {
    dn: entry.dn,
    name,
    ...(passes(emailAddress, mail) && { email: mail as string }),
    ...(passes(fullname, full) && { fullname: full as string }),
  };
  return { entry, user, tries: 0 };
}

function passes(check: (value: string, field: string) => unknown, value: string | undefined): boolean {
  if (value === undefined || value === '') return false;
  try {
    check(value, '');
    return true;
  } catch {
    return false;
  }
}

/** The next name nobody here has yet; false when there is none. */
function chooseName(candidate: Candidate, { username }: UserPatterns, names: Set<string>): boolean {
  for (; candidate.tries < limits.ldapNameTriesMax; candidate.tries += 1) {
    const name = nameFor(username, candidate.entry, candidate.tries);
    if (name === undefined) return false;
    if (names.has(name)) continue;
    names.add(name);
    candidate.user = { ...candidate.user, name };
    candidate.tries += 1;
    return true;
  }
  return false;
}

function isOfPattern({ entry }: Candidate, { username }: UserPatterns, name: string): boolean {
  for (let tries = 0; tries < limits.ldapNameTriesMax; tries += 1) {
    const made = nameFor(username, entry, tries);
    if (made === name) return true;
    if (made === undefined) return false;
  }
  return false;
}

async function send(sharing: Sharing, users: readonly DirectoryUser[], isPlan: boolean): Promise<DirectoryUserKept[]> {
  const told: DirectoryUserKept[] = [];
  const asking = { what: 'keeping names for people of the directory', query: isPlan ? 'plan' : '' };
  for (let at = 0; at < users.length; at += limits.ldapUsersPerRequest) {
    const body = { users: users.slice(at, at + limits.ldapUsersPerRequest) };
    const answer = await patiently(sharing, () => sharing.hub.client.ask('PUT', '/ldap_users', { ...asking, body }));
    const { users: some } = directoryUsersKept(answer, '');
    if (some.length !== body.users.length) throw new InfinitError('corrupt', 'the hub does not tell of everybody');
    told.push(...some);
  }
  return told;
}
