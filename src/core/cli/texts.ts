// The sentences of success, `[Where ]Action TYPE "NAME".`, and notices that several commands print.

import type { Imported, Removed } from '../descriptor/context.ts';
import type { DescriptorKind } from '../descriptor/descriptor.ts';
import { describeCredentials } from '../descriptor/services.ts';
import type { Fetched } from '../hub/client/sharing.ts';
import type { Outcome } from '../hub/hub.ts';
import { formatBytes } from './quantities.ts';
import type { JournalOperation, JournalStat } from './running-journals.ts';

/** `identity for user "alice"`, `network descriptor "alice/cluster"`, `passport "alice/cluster: bob"`. */
export function pretty(kind: DescriptorKind, name: string): string {
  const parts = name.split('/');
  switch (kind) {
    case 'user':
      return `identity for user "${name}"`;
    case 'silo':
      return `silo "${name}"`;
    case 'credentials':
      return describeCredentials(name);
    case 'network':
      return `network descriptor "${name}"`;
    case 'linked-network':
      return `network "${parts.slice(1).join('/')}"`;
    case 'passport':
      return `passport "${parts.slice(0, 2).join('/')}: ${parts[2] ?? ''}"`;
    case 'volume':
      return `volume descriptor "${name}"`;
    case 'drive':
      return `drive descriptor "${name}"`;
    case 'key-value-store':
      return `key-value store descriptor "${name}"`;
  }
}

export function saved(kind: DescriptorKind, name: string): string {
  return `Locally saved ${pretty(kind, name)}.`;
}

export function updated(kind: DescriptorKind, name: string): string {
  return `Locally updated ${pretty(kind, name)}.`;
}

export function imported(kind: DescriptorKind, name: string, result: Imported<unknown>['result']): string {
  if (result === 'unchanged') return `Locally already updated ${pretty(kind, name)}.`;
  return result === 'updated' ? updated(kind, name) : `Imported ${pretty(kind, name)}.`;
}

export function linkedLine(network: string): string {
  return `Linked device to network "${network}".`;
}

/** A line for each thing taken away; links are unlinked, the rest deleted. */
export function removedLines(removed: readonly Removed[]): string[] {
  return removed.map(
    ({ kind, name }) => `Locally ${kind === 'linked-network' ? 'unlinked' : 'deleted'} ${pretty(kind, name)}.`,
  );
}

/** What a push did. */
export function remotely(outcome: Outcome, kind: DescriptorKind, name: string): string {
  return remotelyDone(outcome, pretty(kind, name));
}

export function remotelyDone(outcome: Outcome, what: string): string {
  const done = { created: 'created', updated: 'updated', unchanged: 'already updated' }[outcome];
  return `Remotely ${done} ${what}.`;
}

/** `invitation "alice/family: bob"`. */
export function invitation(drive: string, user: string): string {
  return `invitation "${drive}: ${user}"`;
}

export function pulled(kind: DescriptorKind, name: string): string {
  return `Remotely deleted ${pretty(kind, name)}.`;
}

/** A line for each thing that came, and for each link that has it now. */
export function fetchedLines(fetched: readonly Fetched[]): string[] {
  return fetched.flatMap(({ kind, name, result, relinked = [] }) => {
    if (result === 'failed') return [];
    const done = result === 'unchanged' ? 'already updated' : 'fetched';
    return [
      `Locally ${done} ${pretty(kind, name)}.`,
      ...relinked.map(() => `Locally updated linked ${pretty(kind, name)}.`),
    ];
  });
}

/** What a deletion prints with `--script`. */
export function removedJson(removed: readonly Removed[]): { type: string; name: string }[] {
  return removed.map(({ kind, name }) => ({ type: kind, name }));
}

/** `name "description"`, as lists show things. */
export function titled(name: string, description: string | undefined): string {
  return description === undefined ? name : `${name} "${description}"`;
}

/** When a passport is not signed by the owner of its network. */
export function delegatedNotice(network: string, user: string): string {
  return `NOTICE: "${user}" does not own network "${network}": the passport holds while its own allows creating passports.`;
}

export const fullExportWarning = [
  'this export holds your private key',
  'anyone holding it can impersonate you and read all that you may read',
  'drop --full to share your identity with others',
].join('\n');

export const userDeletionWarning = [
  'you are about to delete the user and its private key from this device',
  'nothing can be signed or decrypted in its name without a copy of that key',
  'networks and data that only this user may open are lost for good',
].join('\n');

export const recoveryWarning = [
  'go on only if the disks of the missing nodes are gone for good: a node that is merely away brings everything back',
  'what only they had is lost: the last writes may be missing, and what the others saw of them',
  'should they come back later, they have no say, and give up what they hold',
].join('\n');

export function treeDeletionWarning(label: string): string {
  return [
    `you are about to delete the ${label} with all its data, from every node of the network`,
    'nobody can bring it back: not from another device, not from a node that is away',
  ].join('\n');
}

export function journalStatLine({ name, operations, size, refused }: JournalStat): string {
  return `${name}: ${operations} operations, ${formatBytes(size)}${refused === 0 ? '' : `; ${refused} refused`}`;
}

export function journalOperationLine({ operation, type, paths, to, bytes, refused }: JournalOperation): string {
  const words = [type.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`), ...paths];
  if (to !== undefined) words.push(`to ${to}`);
  if (bytes !== undefined) words.push(`(${formatBytes(bytes)})`);
  return `${operation}: ${words.join(' ')}${refused === undefined ? '' : `; refused: ${refused}`}`;
}
