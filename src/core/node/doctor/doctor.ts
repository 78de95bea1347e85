// What `infinit doctor` finds: sections of findings, each with what is wrong and what to do about it. A section is one file and
// one line here; nothing is changed by looking.

import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { InfinitError } from '../../base/errors.ts';
import type { Finding, FindingGroup, Section } from '../../cli/running.ts';
import type { LinkedNetworkDescriptor } from '../../descriptor/descriptor.ts';
import type { Context } from '../link.ts';
import { configuration } from './configuration.ts';
import { connectivity } from './connectivity.ts';
import { redundancy } from './redundancy.ts';
import { system } from './system.ts';

export interface Surroundings {
  context: Context;
  as: string;
  /** Variables of the environment that begin with INFINIT_. */
  variables: readonly string[];
  /** Leaves networks out that this device is not linked to, and what is in them. */
  ignoreNonLinked: boolean;
  /** Address of the hub, if one is used. */
  hub?: string | undefined;
  /** `HOST:PORT` of a machine that runs `infinit doctor networking`. */
  server?: string | undefined;
  /** The router is asked to forward it. */
  upnpTcpPort?: number | undefined;
}

const groups: Readonly<Record<FindingGroup, (surroundings: Surroundings) => Promise<Section[]>>> = {
  configuration,
  system,
  connectivity,
  redundancy,
};

/** Looks at the groups named, in that order. */
export async function diagnose(surroundings: Surroundings, wanted: readonly FindingGroup[]): Promise<Section[]> {
  const sections: Section[] = [];
  for (const group of wanted) sections.push(...(await groups[group](surroundings)));
  return sections;
}

/** The acting user's links of this device. */
export async function ownLinks({ context, as }: Surroundings): Promise<LinkedNetworkDescriptor[]> {
  const links = await context.repository.list('linked-network');
  return links.map(({ descriptor }) => descriptor).filter(({ user }) => user === as);
}

export type { Finding, Section };

export function sound(name: string, more: Partial<Finding> = {}): Finding {
  return { name, sane: true, warning: false, ...more };
}

export function suspicious(name: string, reason: string, more: Partial<Finding> = {}): Finding {
  return { name, sane: true, warning: true, reason, ...more };
}

export function faulty(name: string, reason: string, more: Partial<Finding> = {}): Finding {
  return { name, sane: false, warning: false, reason, ...more };
}

/** Throws `denied` unless this user may read and write in the folder, by the system's word: it knows more than mode bits. */
export async function usable(folder: string): Promise<void> {
  try {
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    throw new InfinitError('denied', `${folder} cannot be read and written (${code})`, { cause });
  }
}
