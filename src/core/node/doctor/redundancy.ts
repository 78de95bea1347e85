// Whether what the network keeps has as many copies as it should, why not, and what is being done: asked of the processes of this
// home that run, one a network.

import { isError } from '../../base/errors.ts';
import { askNetwork } from '../running-network.ts';
import { type Finding, faulty, ownLinks, type Section, type Surroundings, sound, suspicious } from './doctor.ts';

/** What `network inspect --redundancy` answers, as far as it matters here; a client tells of the network register only. */
export interface RedundancyAnswer {
  desired_factor: number;
  registers: number;
  under_replicated_registers: number;
  network_register_members?: number;
  network_register_error?: string;
  blocks?: number;
  blocks_counted?: boolean;
  under_replicated_blocks?: number;
  shortages?: { reason: string; blocks: number; node?: string; nodes?: number; evicted_in_ms?: number }[];
  missing_blocks?: number;
  bad_blocks?: number;
  rotten_records?: unknown[];
  work?: Record<string, { state: string; backlog?: number; last_error?: string }>;
}

const second = 1000;
const minute = 60 * second;

export async function redundancy(surroundings: Surroundings): Promise<Section[]> {
  const findings: Finding[] = [];
  for (const link of await ownLinks(surroundings)) {
    try {
      const answer = (await askNetwork(surroundings, link.name, 'redundancy')) as RedundancyAnswer;
      const found = redundancyFindings(link.name, answer);
      findings.push(...(found.length === 0 ? [sound(link.name)] : found));
    } catch (error) {
      if (!isError(error)) throw error;
      const { kind, message } = error;
      const isStopped = kind === 'not-found';
      const reason = isStopped ? 'it does not run on this device: its copies are not known' : message;
      findings.push(suspicious(link.name, reason, isStopped ? { hint: `infinit network run ${link.name}` } : {}));
    }
  }
  return [{ key: 'redundancy', title: 'Copies', findings }];
}

/** What is not as it should be; nothing when all is. */
export function redundancyFindings(name: string, answer: RedundancyAnswer): Finding[] {
  const { desired_factor: desired, registers, under_replicated_registers: registersShort } = answer;
  if (answer.network_register_error !== undefined)
    return [
      faulty(name, `nothing can be agreed on: ${answer.network_register_error}`, {
        hint: `start more of its nodes; if their disks are gone for good, its owner goes on without: infinit network recover ${name}`,
      }),
    ];
  const findings: Finding[] = [];
  const warn = (reason: string, hint?: string) =>
    findings.push(suspicious(name, reason, hint === undefined ? {} : { hint }));
  if (registersShort > 0)
    warn(
      `${registersShort} of ${registers} registers kept here have fewer than ${desired} members${workOf(answer, 'membership')}`,
    );
  for (const shortage of answer.shortages ?? []) {
    const { text, hint } = shortageText(shortage, desired);
    warn(
      `${shortage.blocks} of ${answer.blocks ?? 0} blocks kept here lack copies: ${text}${workOf(answer, 'repair')}`,
      hint,
    );
  }
  if ((answer.missing_blocks ?? 0) > 0)
    warn(`${answer.missing_blocks} blocks that belong here are still being fetched${workOf(answer, 'repair')}`);
  if ((answer.bad_blocks ?? 0) > 0)
    warn(
      `${answer.bad_blocks} copies kept here are rotten, and are replaced from good ones${workOf(answer, 'repair')}`,
      'a disk that rots once may go on: look at its health',
    );
  if ((answer.rotten_records?.length ?? 0) > 0)
    warn(
      `${answer.rotten_records?.length} records of registers or journals kept here are rotten, and are mended from memory or the other members${workOf(answer, 'mending')}`,
      'if it stays so, drain this node and give it a new silo: infinit network drain',
    );
  for (const [worker, { last_error }] of Object.entries(answer.work ?? {}))
    if (last_error !== undefined) warn(`${worker} was held up: ${last_error}`, `infinit network workers ${name}`);
  return findings;
}

function shortageText(
  { reason, node, nodes, evicted_in_ms: evictedInMs = 0 }: NonNullable<RedundancyAnswer['shortages']>[number],
  desired: number,
): { text: string; hint?: string } {
  const who = `node ${(node ?? '').slice(0, 12)}`;
  switch (reason) {
    case 'few nodes':
      return {
        text: `there are ${nodes ?? 0} nodes for ${desired} copies`,
        hint: 'link another device with a silo: infinit network link --silo',
      };
    case 'node away': {
      const when = evictedInMs > 0 ? `in ${duration(evictedInMs)}` : 'now';
      return { text: `${who} is away; its copies are made elsewhere ${when} unless it comes back` };
    }
    case 'node closed':
      return { text: `${who} takes no more data`, hint: 'it is full, or being drained: add silos or nodes' };
    default:
      return { text: `they are on their way to ${who}` };
  }
}

function workOf({ work }: RedundancyAnswer, name: string): string {
  const worker = work?.[name];
  if (worker === undefined || worker.state === 'stopped') return '';
  return worker.backlog ? ` (${name}: ${worker.state}, ${worker.backlog} to do)` : ` (${name}: ${worker.state})`;
}

function duration(ms: number): string {
  return ms < 2 * minute ? `${Math.ceil(ms / second)} s` : `${Math.ceil(ms / minute)} min`;
}
