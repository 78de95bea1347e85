// What `acl` commands share: paths on mounted volumes, and how their lists are asked for, changed and shown.

import { dirname, resolve } from 'node:path';
import { Flags } from '@oclif/core';
import { InfinitError, isError } from '../base/errors.ts';
import type { Acting, Running } from './running.ts';

export const pathFlag = {
  path: Flags.string({
    char: 'p',
    description: 'file or directory on a mounted volume; repeatable',
    helpValue: 'PATH',
    multiple: true,
    multipleNonGreedy: true,
    required: true,
  }),
};
export const walkFlags = {
  recursive: Flags.boolean({ char: 'R', description: 'everything below as well' }),
  verbose: Flags.boolean({ char: 'v', description: 'tell of each path' }),
  'fallback-xattrs': Flags.boolean({ description: 'accepted for older scripts: attributes are asked for directly' }),
};

export interface PathPermission {
  name: string;
  read: boolean;
  write: boolean;
  owner: boolean;
  admin: boolean;
}

/** As scripts get it. */
export interface PathAccess {
  path: string;
  error?: string;
  permissions?: PathPermission[];
  directory?: { inherit: boolean };
  world?: { read: boolean; write: boolean };
  /** What somebody who was left out could read. */
  resealing?: string;
}

export interface AccessCalls {
  acting: Acting;
  running: Pick<Running, 'volumeAttribute'>;
  /** Where paths begin. */
  workingDirectory: string;
}

/** `path` as it was given. Never throws for what is wrong with the path. */
export async function accessOfPath(
  { acting, running, workingDirectory }: AccessCalls,
  path: string,
  isDirectory: boolean,
): Promise<PathAccess> {
  const at = { ...acting, path: resolve(workingDirectory, path) };
  const ask = (name: string) => running.volumeAttribute({ ...at, attribute: `infinit.${name}` });
  try {
    const permissions = JSON.parse(await ask('auth')) as PathPermission[];
    const world = await ask('auth_others');
    const inherit = isDirectory ? (await ask('auth.inherit')) === 'true' : undefined;
    return {
      path,
      permissions,
      ...(inherit !== undefined && { directory: { inherit } }),
      world: { read: world !== 'none', write: world === 'rw' },
      resealing: await ask('auth.resealing'),
    };
  } catch (error) {
    if (!isError(error)) throw error;
    return { path, error: error.message };
  }
}

const resealingTexts: Readonly<Record<string, string>> = {
  moving: 'another access list was set: it holds for what has been moved under it so far',
  sealing: 'what somebody left out could read is being sealed anew',
  sweeping: 'sealed anew; the old blocks are being removed',
};

export function accessLines({ path, error, permissions = [], directory, world, resealing }: PathAccess): string[] {
  if (error !== undefined) return [`${path}: ${error}`];
  const modes = ({ read, write }: { read: boolean; write: boolean }) => `${read ? 'r' : ''}${write ? 'w' : ''}`;
  const roles = ({ owner, admin }: PathPermission) => [...(admin ? ['admin'] : []), ...(owner ? ['owner'] : [])];
  const roleText = (entry: PathPermission) => (roles(entry).length > 0 ? ` (${roles(entry).join(', ')})` : '');
  const text = resealingTexts[resealing ?? ''];
  return [
    `${path}:`,
    ...(directory ? [`  inherit: ${directory.inherit}`] : []),
    ...(world?.read ? [`  world: ${modes(world)}`] : []),
    ...permissions.map((entry) => `    ${entry.name}${roleText(entry)}: ${modes(entry)}`),
    ...(text ? [`  ${text}`] : []),
  ];
}

/** What `acl set` sets at a path, in this order: attribute and value. */
export function changesOf(flags: {
  user?: string[] | undefined;
  group?: string[] | undefined;
  mode?: string | undefined;
  'others-mode'?: string | undefined;
  'enable-inherit': boolean;
  'disable-inherit': boolean;
}): [string, string][] {
  const named = [
    ...(flags.user ?? []),
    ...(flags.group ?? []).map((name) => (name.startsWith('@') ? name : `@${name}`)),
  ];
  if (flags['enable-inherit'] && flags['disable-inherit'])
    throw new InfinitError('usage', '--enable-inherit and --disable-inherit exclude each other');
  if (named.length > 0 !== (flags.mode !== undefined))
    throw new InfinitError('usage', 'users and groups are given a mode: --user NAME --mode r|w|rw|none');
  const attribute = flags.mode === 'none' ? 'infinit.auth.clear' : `infinit.auth.set${flags.mode}`;
  const changes: [string, string][] = named.map((name) => [attribute, name]);
  if (flags['others-mode'] !== undefined) changes.push(['infinit.auth_others', flags['others-mode']]);
  if (flags['enable-inherit']) changes.push(['infinit.auth.inherit', 'true']);
  if (flags['disable-inherit']) changes.push(['infinit.auth.inherit', 'false']);
  if (changes.length === 0) throw new InfinitError('usage', 'nothing to set');
  return changes;
}

export interface GroupFacts {
  admins: string[];
  members: string[];
  description: string;
}

export function groupLines(name: string, { admins, members, description }: GroupFacts): string[] {
  const all = (names: readonly string[]) => (names.length === 0 ? 'none' : names.join(', '));
  const about = description === '' ? [] : [`  description: ${description}`];
  return [`${name}:`, ...about, `  members: ${all(members)}`, `  admins: ${all(admins)}`];
}

/** What `acl group` changes, in this order: attribute and value. */
export function groupChangesOf(
  group: string,
  flags: Readonly<Record<string, boolean | string | string[] | undefined>>,
): [string, string][] {
  if (flags.create && flags.delete) throw new InfinitError('usage', '--create and --delete exclude each other');
  const listed = (flag: string) => [flags[flag] ?? []].flat().map(String);
  const part = (what: 'add' | 'remove', who: string): [string, string] =>
    who.startsWith('^') ? [`${what}admin`, who.slice(1)] : [what, who];
  const all = (what: 'add' | 'remove') => [
    ...listed(what).map((who) => part(what, who)),
    ...listed(`${what}-user`).map((who) => part(what, who)),
    ...listed(`${what}-group`).map((who): [string, string] => [what, who.startsWith('@') ? who : `@${who}`]),
    ...listed(`${what}-admin`).map((who): [string, string] => [`${what}admin`, who]),
  ];
  const changes = [...all('add'), ...all('remove')].map(([what, who]): [string, string] => [
    `infinit.group.${what}`,
    `${group}:${who}`,
  ]);
  if (flags.create) changes.unshift(['infinit.group.create', group]);
  if (flags.description !== undefined) changes.push([`infinit.groups.${group}.description`, String(flags.description)]);
  if (flags.delete) changes.push(['infinit.group.delete', group]);
  return changes;
}

/** Paths, seen from a directory, of what has a list of its own below it. */
export async function listedBelow(
  volumeAttribute: Running['volumeAttribute'],
  at: Acting & { path: string },
): Promise<string[]> {
  const below = await attributeOf(volumeAttribute, at, 'auth.below');
  return below === undefined ? [] : (JSON.parse(below) as string[]);
}

/**
 * What is asked for by `--traverse`: that who is named reads the directories that lead there. It is not given here: a list is that of
 * all that is in a directory and has none of its own. Throws `unsupported` for a directory that one of them does not read.
 */
export async function checkTraverse(
  volumeAttribute: Running['volumeAttribute'],
  at: Acting & { path: string },
  changes: readonly [string, string][],
): Promise<void> {
  const named = changes.filter(([attribute]) => /\.auth\.set/.test(attribute)).map(([, who]) => who);
  for (let path = dirname(at.path); path !== dirname(path); path = dirname(path)) {
    const listed = await attributeOf(volumeAttribute, { ...at, path }, 'auth');
    if (listed === undefined) return;
    if ((await attributeOf(volumeAttribute, { ...at, path }, 'auth_others')) !== 'none') continue;
    const readers = new Set((JSON.parse(listed) as PathPermission[]).map(({ name }) => name));
    const missing = named.find((who) => !readers.has(who));
    if (missing === undefined) continue;
    const hint = `infinit acl set --path ${path} --user ${missing} --mode r`;
    throw new InfinitError(
      'unsupported',
      `${missing} does not read ${path}, and would read all in it that has no list of its own`,
      {
        hint: `first give what he may not see a list without him, then: ${hint}`,
      },
    );
  }
}

/** Undefined where there is none: on no volume, or by a process that knows no such lists. */
async function attributeOf(
  volumeAttribute: Running['volumeAttribute'],
  at: Acting & { path: string },
  name: string,
): Promise<string | undefined> {
  try {
    return await volumeAttribute({ ...at, attribute: `infinit.${name}` });
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
    return undefined;
  }
}
