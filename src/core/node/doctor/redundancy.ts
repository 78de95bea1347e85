// Whether what the network keeps has as many copies as it should: asked of the processes of this home that run, one a network.

import { isError } from '../../base/errors.ts';
import { askNetwork } from '../running-network.ts';
import { type Finding, faulty, type Section, type Surroundings, sound, suspicious } from './doctor.ts';

interface Answer {
  desired_factor: number;
  registers: number;
  under_replicated_registers: number;
  network_register_members?: number;
  network_register_error?: string;
}

export async function redundancy({ context, as }: Surroundings): Promise<Section[]> {
  const findings: Finding[] = [];
  for (const { descriptor: link } of await context.repository.list('linked-network')) {
    if (link.user !== as) continue;
    try {
      const answer = (await askNetwork({ context, as }, link.name, 'redundancy')) as Answer;
      findings.push(finding(link.name, answer));
    } catch (error) {
      if (!isError(error)) throw error;
      const hint = isError(error, 'not-found') ? `infinit network run ${link.name}` : undefined;
      const reason = hint === undefined ? error.message : 'it does not run on this device: its copies are not known';
      findings.push(suspicious(link.name, reason, hint === undefined ? {} : { hint }));
    }
  }
  return [{ key: 'redundancy', title: 'Copies', findings }];
}

function finding(name: string, answer: Answer): Finding {
  if (answer.network_register_error !== undefined)
    return faulty(name, `the network cannot agree on anything: ${answer.network_register_error}`, {
      hint: `start more of its nodes; infinit network inspect ${name} --peers lists those known`,
    });
  const { under_replicated_registers: under, registers, desired_factor: desired } = answer;
  if (under > 0)
    return suspicious(name, `${under} of the ${registers} registers kept here have fewer than ${desired} members`);
  return sound(name);
}
