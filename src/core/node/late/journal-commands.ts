// The commands on journals of this device (`RunningJournals` of cli): read beside the mounts that have them open.

import { join } from 'node:path';
import { type Bytes, toHex } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Acting, JournalOptions, JournalStat, Running } from '../../cli/running.ts';
import { getLink } from '../../descriptor/links.ts';
import { getUser, userKeyPair } from '../../descriptor/users.ts';
import type { LateEntry } from '../../tree/async/log.ts';
import { type LateNames, lateFacts, lateJson } from '../../volume/files/late-facts.ts';
import { journalsFolder } from './journal-folder.ts';
import { JournalReading, type KeptOperation } from './journal-reading.ts';
import type { Refused } from './refused.ts';

/** A journal with all that is in it but the data. */
interface Read {
  journal: JournalReading;
  waiting: KeptOperation[];
  refused: Refused[];
}

interface Found {
  journal: JournalReading;
  names: LateNames;
  entry: LateEntry;
  refused: Refused | undefined;
}

export const journalStat: Running['journalStat'] = async ({ network, ...acting }) => {
  const stats: JournalStat[] = [];
  for (const name of await networksOf(acting, network)) {
    const stat = { name, operations: 0, size: 0, refused: 0 };
    for (const { waiting, refused } of await journalsOf(acting, name)) {
      stat.operations += waiting.length;
      stat.size += waiting.reduce((sum, { bytes }) => sum + bytes, 0);
      stat.refused += refused.length;
    }
    stats.push(stat);
  }
  return stats;
};

export const journalOperations: Running['journalOperations'] = async (options) => {
  if (options.operation !== undefined) return [described(await find(options, options.operation))];
  const found: Found[] = [];
  for (const read of await journalsOf(options, await networkOf(options))) found.push(...(await foundIn(read)));
  return [...found.filter(({ refused }) => !refused), ...found.filter(({ refused }) => refused)].map(described);
};

export const journalOperation: Running['journalOperation'] = async (options) => {
  const { journal, names, entry, refused } = await find(options, options.operation);
  const data = refused === undefined ? await journal.dataOf(entry) : dataOf(refused);
  return {
    operation: idOf(journal, entry),
    network: await networkOf(options),
    ...lateJson(entry, names, (address) => data.get(address)),
    ...(refused && { refused: refused.reason, refused_at: new Date(refused.at).toISOString() }),
  };
};

export const forgetRefused: Running['forgetRefused'] = async (options) => {
  const { journal, entry, refused } = await find(options, options.operation);
  if (refused === undefined)
    throw new InfinitError('usage', `operation ${options.operation} waits to be sent: only refused ones are removed`);
  await journal.refused.remove(entry.number);
};

async function networkOf({ context, as, network }: JournalOptions): Promise<string> {
  return (await getLink(context, as, network)).name;
}

async function networksOf({ context, as }: Acting, network: string | undefined): Promise<string[]> {
  if (network !== undefined) return [(await getLink(context, as, network)).name];
  const links = await context.repository.list('linked-network');
  return links.flatMap(({ descriptor }) => (descriptor.user === as ? [descriptor.name] : []));
}

/** In the order of their volumes' names. */
async function journalsOf({ context, as, warn }: Acting, network: string): Promise<Read[]> {
  const { runtime, home } = context;
  const user = userKeyPair(await getUser(context, as));
  const folder = journalsFolder(home, as, network);
  const found: Read[] = [];
  for (const name of await runtime.files.list(folder)) {
    const journal = await JournalReading.open(runtime, join(folder, name), user);
    if (journal === undefined) continue;
    const refused: Refused[] = [];
    for await (const one of journal.refused.all(({ message }) => warn(message))) refused.push(one);
    found.push({ journal, waiting: await journal.waiting(), refused });
  }
  return found.sort((a, b) => (a.journal.head.volume < b.journal.head.volume ? -1 : 1));
}

async function foundIn({ journal, waiting, refused }: Read): Promise<Found[]> {
  const names = await journal.names(waiting, refused);
  return [
    ...waiting.map(({ entry }) => ({ journal, names, entry, refused: undefined })),
    ...refused.map((one) => ({ journal, names, entry: one.entry, refused: one })),
  ];
}

async function find(options: JournalOptions, operation: string): Promise<Found> {
  const { volume, number } = parsed(operation);
  const network = await networkOf(options);
  const found: Found[] = [];
  for (const read of await journalsOf(options, network)) {
    if (volume !== undefined && read.journal.head.volume !== volume) continue;
    found.push(...(await foundIn(read)).filter(({ entry }) => entry.number === number));
  }
  const [first] = found;
  if (first === undefined)
    throw new InfinitError('not-found', `no operation ${operation} waits for network "${network}"`);
  // The same number twice in one journal: it is refused in part, and the rest waits.
  if (found.some(({ journal }) => journal.head.volume !== first.journal.head.volume))
    throw new InfinitError('conflict', `several volumes have an operation ${operation}`, {
      hint: found.map(({ journal, entry }) => idOf(journal, entry)).join(', '),
    });
  return found.find(({ refused }) => refused !== undefined) ?? first;
}

function parsed(operation: string): { volume: string | undefined; number: number } {
  const match = /^(?:(.+):)?(\d{1,15})$/.exec(operation);
  if (match === null) throw new InfinitError('usage', `"${operation}" names no operation`, { hint: 'VOLUME:NUMBER' });
  return { volume: match[1], number: Number(match[2]) };
}

function idOf({ head }: JournalReading, { number }: LateEntry): string {
  return `${head.volume}:${number}`;
}

function described({ journal, names, entry, refused }: Found) {
  return { operation: idOf(journal, entry), ...lateFacts(entry, names), ...(refused && { refused: refused.reason }) };
}

function dataOf({ data }: Refused): Map<string, readonly Bytes[]> {
  return new Map(data.flatMap((one) => (one.type === 'chunk' ? [[toHex(one.address), one.cells] as const] : [])));
}
