// Opening a mirror: which of its silos have everything, and whether all that have can be asked. Where one is missing that may have more
// than those that are there, the mirror takes a new identity, as a silo does that finds acknowledged data missing.

import { toHex } from '../../../base/bytes.ts';
import { asError, InfinitError, isError } from '../../../base/errors.ts';
import { storeIdBytes } from '../../../block/address.ts';
import type { SiloConfigJson } from '../../../descriptor/descriptor.ts';
import type { Silo, SiloConfig, SiloSurroundings } from '../../silo.ts';
import { type Member, Members, type Present } from './members.ts';
import { latest, type MirrorRecord, readRecord } from './record.ts';

export interface Opened {
  members: Members;
  /** They have everything acknowledged, and perhaps not the same of what was not. */
  unequal: Present[];
}

/** Throws what the first silo threw when none opens; `exists` when one of them has data of its own or is in use. */
export async function openMembers(config: SiloConfig, around: SiloSurroundings): Promise<Opened> {
  const backends = config.backend ?? [];
  if (backends.length < 2)
    throw new InfinitError('usage', `a mirror silo wraps at least two silos, not ${backends.length}`);
  if (backends.some(hasMirror))
    throw new InfinitError('usage', 'a mirror silo does not wrap another one: name all silos');
  const all: Member[] = backends.map((backend, at) => ({
    number: at + 1,
    config: backend,
    silo: undefined,
    state: 'away',
    offset: 0,
    recordBytes: 0,
  }));
  try {
    await openThere(all, around);
    return await begun(all, around);
  } catch (error) {
    for (const { silo } of all) await silo?.close();
    throw error;
  }
}

function hasMirror(config: Pick<SiloConfigJson, 'type' | 'backend'>): boolean {
  return config.type === 'mirror' || (config.backend ?? []).some(hasMirror);
}

/** What holds data must be of this mirror, for it is overwritten. */
export function checkStranger(silo: Silo, record: MirrorRecord | undefined, number: number): void {
  if (record !== undefined || silo.usage().entries === 0) return;
  throw new InfinitError('exists', `silo ${number} of the mirror holds data that is not of a mirror`, {
    hint: 'a mirror begins with silos of which one at most holds data; those that come later must be empty',
  });
}

async function openThere(all: readonly Member[], around: SiloSurroundings): Promise<void> {
  let failure: unknown;
  for (const member of all) {
    try {
      member.silo = await around.open(member.config);
    } catch (error) {
      if (!isAway(error)) throw error;
      failure ??= error;
      const { message } = asError(error);
      around.runtime.log.write('warn', 'silo', `silo ${member.number} of a mirror is away: ${message}`);
    }
  }
  if (all.every(({ silo }) => silo === undefined)) throw failure;
}

/** A device that does not answer or is damaged; what is asked wrongly, or in use, is no reason to go on without. */
function isAway(error: unknown): boolean {
  return isError(error, 'unavailable') || isError(error, 'corrupt') || isError(error, 'not-found');
}

async function begun(all: readonly Member[], around: SiloSurroundings): Promise<Opened> {
  const records = new Map<Member, MirrorRecord>();
  for (const member of all) {
    const record = member.silo && (await readRecord(member.silo));
    if (record !== undefined) records.set(member, record);
  }
  const last = latest([...records.values()]);
  const opened = last === undefined ? formatted(all, around) : continued(all, records, last, around);
  // From here on it is not closed in order until it is.
  await opened.members.note();
  return opened;
}

/** A new mirror of silos that are empty, or one of which holds data. */
function formatted(all: readonly Member[], { runtime }: SiloSurroundings): Opened {
  const filled = all.filter(({ silo }) => (silo?.usage().entries ?? 0) > 0);
  if (all.some(({ silo }) => silo === undefined))
    throw new InfinitError('unavailable', 'a mirror begins with all its silos, and one is away');
  const [source, other] = filled;
  if (other?.silo !== undefined) checkStranger(other.silo, undefined, other.number);
  for (const member of all) member.state = source === undefined || member === source ? 'current' : 'away';
  const id = toHex(runtime.random.bytes(storeIdBytes));
  const sequence = source?.silo?.sequence() ?? 0;
  return { members: new Members(all, { id, generation: 0, sequence }, runtime.log), unequal: [] };
}

/** Those the last record names; without one of them under a new identity. */
function continued(
  all: readonly Member[],
  records: ReadonlyMap<Member, MirrorRecord>,
  last: MirrorRecord,
  { runtime }: SiloSurroundings,
): Opened {
  for (const member of all)
    if (member.silo !== undefined) checkStranger(member.silo, records.get(member), member.number);
  const named = (member: Member) => member.silo !== undefined && last.current.includes(toHex(member.silo.storeId));
  const ofIt = all.filter((member) => records.get(member)?.id === last.id);
  const complete = ofIt.filter(named);
  // All that are named have lost something themselves: the latest there is goes on.
  const current = complete.length > 0 ? complete : ofIt.filter((member) => records.get(member) === last);
  for (const member of current) {
    member.state = 'current';
    member.offset = records.get(member)?.offset ?? 0;
  }
  const isWhole = complete.length === last.current.length;
  if (!isWhole)
    runtime.log.write(
      'error',
      'silo',
      'a silo of a mirror is missing that may have more: the mirror takes a new identity',
      {
        was: last.id,
      },
    );
  const id = isWhole ? last.id : toHex(runtime.random.bytes(storeIdBytes));
  const members = new Members(all, { id, generation: last.generation, sequence: 0 }, runtime.log);
  const wasClosed = current.every((member) => {
    const record = records.get(member);
    return record?.clean === true && record.generation === last.generation;
  });
  return { members, unequal: wasClosed ? [] : members.current.slice(1) };
}
