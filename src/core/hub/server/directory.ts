// People of an organisation's directory (LDAP) on the hub: names an administrator keeps for them, taken up by whoever knows the
// password of the entry. That password passes through the hub and is not kept; keys and what seals them never do (docs/hub.md 7).

import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { UserDescriptor } from '../../descriptor/descriptor.ts';
import type { Clock } from '../../runtime/runtime.ts';
import { directoryUsers, loginBody, type UserBody } from '../bodies.ts';
import type { Directory } from '../directory/directory.ts';
import { normalDn } from '../directory/distinguished-names.ts';
import { type DirectoryUser, type DirectoryUserKept, delegateName, type HubStore } from '../hub.ts';
import type { Answer, Call } from './call.ts';
import { Rates } from './rates.ts';
import { conflict, forbidden, notFound, Refusal, tooOften } from './refusal.ts';

/** Names that mean somebody else to people. */
export const reservedNames: readonly string[] = ['demo', 'root', 'admin', delegateName];
/** Who has which name is changed one after another. */
export const directoryLock = ' directory';

/** Asks the directory whether a password is that of an entry. */
export class DirectoryPasswords {
  private readonly open: () => Promise<Directory>;
  private readonly clock: Pick<Clock, 'monotonic'>;
  private readonly tries = new Rates(limits.hubDirectoryRate);
  private asking = 0;

  constructor(open: () => Promise<Directory>, clock: Pick<Clock, 'monotonic'>) {
    this.open = open;
    this.clock = clock;
  }

  /** Throws a refusal unless it is; `unavailable` when the directory does not answer. */
  async check(dn: string, password: string): Promise<void> {
    const waitMs = this.tries.take(normalDn(dn), this.clock.monotonic());
    if (waitMs > 0) throw tooOften(waitMs, 'too many passwords tried: try again later');
    if (this.asking >= limits.hubDirectoryAskingMax)
      throw new InfinitError('unavailable', 'the directory is asked too much');
    this.asking += 1;
    try {
      await this.ask(dn, password);
    } finally {
      this.asking -= 1;
    }
  }

  private async ask(dn: string, password: string): Promise<void> {
    const directory = await this.open().catch((cause: unknown) => {
      throw new InfinitError('unavailable', cause instanceof Error ? cause.message : String(cause), { cause });
    });
    try {
      await directory.bind(dn, password);
    } catch (error) {
      if (isError(error, 'denied', 'not-found')) throw wrongPassword('the directory does not take that password');
      throw error;
    } finally {
      directory.close();
    }
  }
}

/** Who may have this name: its person, which the password proves; undefined when nothing of that changes. */
export async function personOf(call: Call, { user, directoryPassword }: UserBody): Promise<DirectoryUser | undefined> {
  const { store } = call;
  const before = await store.get('user', user.name);
  const dn = user.ldap_dn ?? (before ? undefined : (await store.directoryUser({ name: user.name }))?.dn);
  if (dn === undefined) {
    if (before?.ldap_dn !== undefined) throw conflict('user', user.name, 'is a person of the directory, and stays one');
    return undefined;
  }
  if (before?.ldap_dn !== undefined && normalDn(before.ldap_dn) === normalDn(dn)) return undefined;
  const person = await personFor(store, user.name, dn, before);
  await checkPassword(call, person.dn, directoryPassword);
  return person;
}

/** Throws where the entry has another name here, or the name is kept for another entry. */
export async function personFor(
  store: HubStore,
  name: string,
  dn: string,
  before: UserDescriptor | undefined,
): Promise<DirectoryUser> {
  const known = await store.directoryUser({ dn });
  if (known !== undefined && known.name !== name)
    throw conflict('user', name, `is another name than the person of the directory has here, "${known.name}"`);
  if (known !== undefined) return known;
  const reserved = await store.directoryUser({ name });
  if (reserved !== undefined && before === undefined)
    throw forbidden('user', name, `user name "${name}" is kept for another person of the directory`);
  return { dn, name }; // his entry has moved, or nobody kept a name for him
}

/** By a login of somebody who is in the directory. */
export async function checkLogin(call: Call, { ldap_dn: dn }: UserDescriptor): Promise<void> {
  if (dn === undefined) return;
  const { ldap_password: password } = call.request.body.length === 0 ? {} : call.fields(loginBody);
  await checkPassword(call, dn, password);
}

/** For populating networks: the user an entry has become. */
export async function getDirectoryUser(call: Call): Promise<Answer> {
  const dn = call.text('dn');
  const person = await call.store.directoryUser({ dn });
  if (person === undefined) throw notFound('LDAP user', dn);
  const user = await enrolled(call.store, person);
  if (user === undefined)
    throw new Refusal(404, {
      error: 'ldap_user/not_enrolled',
      reason: `user "${person.name}" has not logged in yet`,
      name: person.name,
    });
  const { email: _, ldap_dn: __, ...open } = user;
  return { status: 200, body: open };
}

/** An administrator keeps names for people. `?plan`: tells what it would do, and does nothing. */
export async function putDirectoryUsers(call: Call): Promise<Answer> {
  call.administrator();
  passwords(call);
  const { users } = call.fields(directoryUsers);
  const isPlan = call.flag('plan');
  const told = await call.store.transaction(directoryLock, async (store) => {
    const results: DirectoryUserKept[] = [];
    for (const user of users) results.push(await keepName(store, user, isPlan));
    return results;
  });
  return { status: 200, body: { users: told } };
}

async function keepName(store: HubStore, user: DirectoryUser, isPlan: boolean): Promise<DirectoryUserKept> {
  const { dn, name } = user;
  const before = await store.directoryUser({ dn });
  const told = { dn, name, ...(before && { known: before.name }) };
  if (before !== undefined && (await enrolled(store, before)) !== undefined)
    return { ...told, name: before.name, result: 'enrolled' };
  const other = await store.directoryUser({ name });
  const isOthers = other !== undefined && other.name !== before?.name;
  if (isOthers || reservedNames.includes(name) || (await store.get('user', name)) !== undefined)
    return { ...told, result: 'taken' };
  if (before?.name === name && before.email === user.email && before.fullname === user.fullname)
    return { ...told, result: 'unchanged' };
  if (!isPlan) await store.setDirectoryUser(user);
  return { ...told, result: before === undefined ? 'created' : 'updated' };
}

/** The user a person has become; undefined when he has not taken his name yet. */
async function enrolled(store: HubStore, { dn, name }: DirectoryUser): Promise<UserDescriptor | undefined> {
  const user = await store.get('user', name);
  return user?.ldap_dn !== undefined && normalDn(user.ldap_dn) === normalDn(dn) ? user : undefined;
}

async function checkPassword(call: Call, dn: string, password: string | undefined): Promise<void> {
  const asked = passwords(call);
  if (password === undefined) throw wrongPassword('the password of the directory is needed');
  await asked.check(dn, password);
}

function passwords({ settings }: Call): DirectoryPasswords {
  if (settings.directory !== undefined) return settings.directory;
  throw new Refusal(404, { error: 'ldap/not_configured', reason: 'this hub has no directory: --ldap-server' });
}

function wrongPassword(reason: string): Refusal {
  return new Refusal(401, { error: 'ldap/password', reason });
}
