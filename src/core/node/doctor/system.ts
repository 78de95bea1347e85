// Whether the machine suits: names, folders, space, FUSE.

import { asError } from '../../base/errors.ts';
import type { Home } from '../../descriptor/descriptor.ts';
import { isName } from '../../descriptor/names.ts';
import { fuseTrouble } from '../../gateway/fuse/mounting.ts';
import { type Finding, faulty, type Section, type Surroundings, sound, suspicious, usable } from './doctor.ts';

const MiB = 1024 * 1024;
const spaceMinBytes = 50 * MiB;
const spaceMinRatio = 0.02;

export async function system(surroundings: Surroundings): Promise<Section[]> {
  const { context, as, variables } = surroundings;
  const trouble = await fuseTrouble();
  return [
    {
      key: 'username',
      title: 'Username',
      findings: [isName(as) ? sound(as) : faulty(as, 'is not a name for a user', { hint: 'name one with --as' })],
    },
    { key: 'space_left', title: 'Space left', findings: await spaces(surroundings) },
    {
      key: 'environment',
      title: 'Environment',
      findings: variables.map((name) => suspicious(name, 'is set, and changes what commands do')),
    },
    { key: 'permissions', title: 'Permissions', findings: await permissions(context, context.home) },
    {
      key: 'fuse',
      title: 'FUSE',
      findings: [
        trouble === undefined
          ? sound('fuse')
          : suspicious('fuse', `volumes cannot be mounted: ${trouble.message}`, {
              ...(trouble.hint !== undefined && { hint: trouble.hint }),
            }),
      ],
    },
  ];
}

async function spaces({ context }: Surroundings): Promise<Finding[]> {
  const { files } = context.runtime;
  const findings: Finding[] = [];
  for (const [what, path] of Object.entries(foldersOf(context.home))) {
    if ((await files.stat(path)) === undefined) continue;
    const { freeBytes, totalBytes } = await files.space(path);
    const isLow = freeBytes < spaceMinBytes || freeBytes < totalBytes * spaceMinRatio;
    const left = `${Math.floor(freeBytes / MiB)} MiB left in ${path}`;
    findings.push(isLow ? suspicious(what, left) : sound(what));
  }
  return findings;
}

async function permissions({ runtime }: Surroundings['context'], home: Home): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [what, path] of Object.entries(foldersOf(home))) {
    try {
      const there = await runtime.files.stat(path);
      if (there === undefined) continue; // made when it is needed
      if (there.kind !== 'directory') findings.push(faulty(what, `${path} is not a folder`));
      else {
        await usable(path);
        findings.push(sound(what));
      }
    } catch (error) {
      findings.push(faulty(what, asError(error).message));
    }
  }
  return findings;
}

function foldersOf({ data, cache, state }: Home): Record<string, string> {
  return { data, cache, state };
}
