// What commands that bring people of a directory (LDAP) in share: reading it, the volume mounted where they point, telling of each.

import { chown, mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { qualify } from '../descriptor/names.ts';
import type { NetworkPeople, Populated } from '../hub/client/directory-network.ts';
import type { Problem } from '../hub/client/directory-users.ts';
import { type Entry, valuesOf } from '../hub/directory/directory.ts';
import { dnKey } from '../hub/directory/distinguished-names.ts';
import type { Roster } from '../hub/directory/roster.ts';
import { HubCommand } from './hub-command.ts';
import { type LdapFlagValues, openDirectory, searchOf } from './ldap-flags.ts';
import { saved } from './texts.ts';
import { Passwords } from './user-hub-flags.ts';

export abstract class LdapCommand extends HubCommand {
  /** The people meant by the options. */
  protected async roster(
    flags: LdapFlagValues,
    attributes: readonly string[] = [],
    passwords = new Passwords(this.invocation, flags.password),
  ): Promise<Roster> {
    const search = await searchOf(flags, attributes);
    const [directory, { rosterOf }] = await Promise.all([
      openDirectory(this.invocation, flags, () => passwords.own(false)),
      import('../hub/directory/roster.ts'),
    ]);
    try {
      return await rosterOf(directory, search);
    } finally {
      directory.close();
    }
  }

  /** Attributes of a volume mounted there, which must be of that network, and that volume where one is named. */
  protected async mounted(
    mountpoint: string,
    network: string,
    volume?: string,
  ): Promise<Pick<NetworkPeople, 'attribute'>> {
    const acting = await this.acting();
    const running = await this.running();
    const path = this.pathOf(mountpoint);
    for (const { name, descriptor } of await acting.context.repository.list('volume')) {
      if (descriptor.network !== network || (volume !== undefined && name !== volume)) continue;
      if ((await running.volumeStatus({ ...acting, name })).mountpoint !== path) continue;
      const attribute = (attribute: string, value?: string) =>
        running.volumeAttribute({ ...acting, path, attribute, ...(value !== undefined && { value }) });
      return { attribute };
    }
    const what = volume === undefined ? `a volume of network "${network}"` : `volume "${volume}"`;
    throw new InfinitError('usage', `${what} is not mounted at ${JSON.stringify(mountpoint)} by this home`);
  }

  protected networkNamed(name: string): string {
    return qualify('network', name, this.user);
  }

  /** What became of people and groups; what was not done is a warning each. */
  protected tellPopulated(network: string, { people, groups, problems }: Populated): void {
    for (const { dn, result, reason = '' } of people)
      if (result === 'failed' || result === 'pending') this.warn(`${dn}: ${reason}`);
    this.tellProblems(problems);
    if (people.some(({ result }) => result === 'failed')) this.code = 1;
    const done = { created: 'Created', updated: 'Changed', unchanged: 'Already changed' } as const;
    this.render({ people, groups, problems }, [
      ...people.flatMap(({ name, result }) =>
        result === 'created' && name ? [saved('passport', `${network}/${name}`)] : [],
      ),
      ...groups.map(({ name, result }) => `${done[result]} group "${name}".`),
    ]);
  }

  protected tellProblems(problems: readonly Problem[]): void {
    for (const { name, reason } of problems) this.warn(`${name}: ${reason}`);
    if (problems.length > 0) this.code = 1;
  }

  /** A folder for each, owned by the numeric ids he has in the directory. */
  protected async makeHomes(
    mountpoint: string,
    people: Populated['people'],
    entries: readonly Entry[],
  ): Promise<Problem[]> {
    const byDn = new Map(entries.map((entry) => [dnKey(entry.dn), entry]));
    const problems: Problem[] = [];
    for (const { dn, name, result } of people) {
      const entry = byDn.get(dnKey(dn));
      if (name === undefined || result === 'failed' || entry === undefined) continue;
      const reason = await makeHome(join(this.pathOf(mountpoint), 'home'), name, entry).catch(
        (error: unknown) => asError(error).message,
      );
      if (reason !== undefined) problems.push({ name: `home/${name}`, reason });
    }
    return problems;
  }
}

/** Why there is none; undefined when there is. */
async function makeHome(folder: string, name: string, entry: Entry): Promise<string | undefined> {
  const [uid, gid] = ['uidNumber', 'gidNumber'].map((attribute) => numberOf(entry, attribute));
  if (uid === undefined || gid === undefined) return 'is not made: the entry has no uidNumber and gidNumber';
  await mkdir(folder, { mode: 0o755 }).catch(unlessThere);
  const home = join(folder, name);
  const isNew = await mkdir(home, { mode: 0o700 }).then(() => true, unlessThere);
  if (!isNew) return undefined;
  try {
    await chown(home, uid, gid);
    return undefined;
  } catch (error) {
    await rmdir(home);
    return `is not made: it cannot be given to ${uid}:${gid} (${(error as NodeJS.ErrnoException).code ?? error})`;
  }
}

function unlessThere(error: NodeJS.ErrnoException): false {
  if (error.code === 'EEXIST') return false;
  throw isError(error) ? error : new InfinitError('unavailable', error.message, { cause: error });
}

function numberOf(entry: Entry, attribute: string): number | undefined {
  const [text = ''] = valuesOf(entry, attribute);
  return /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1 ? Number(text) : undefined;
}
