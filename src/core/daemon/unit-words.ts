// The words of what the daemon starts: as they were asked for, and what the daemon's own options add to them.

import { join } from 'node:path';
import type { RunDaemonOptions } from '../cli/supervising.ts';

type Additions = Pick<RunDaemonOptions, 'mountRoot' | 'advertiseHosts' | 'portMapping' | 'mdns' | 'endpoints'>;

/** Of a node. */
export function networkWords(name: string, additions: Additions): string[] {
  return ['network', 'run', name, ...presenceWords(additions)];
}

/** Of a mount: words that say something themselves are not overruled. The daemon asks its processes, so they answer. */
export function volumeWords(
  volume: { name: string; hasMountpoint: boolean },
  given: readonly string[],
  additions: Additions,
): string[] {
  const says = (...options: string[]) => given.some((word) => options.some((one) => word.startsWith(one)));
  const { mountRoot } = additions;
  const isPlaced = volume.hasMountpoint || says('--mountpoint', '-m');
  return [
    ...given,
    ...(mountRoot === undefined || isPlaced ? [] : ['--mountpoint', join(mountRoot, volume.name)]),
    ...(says('--monitoring', '--no-monitoring') ? [] : ['--monitoring']),
    ...presenceWords(says('--mdns', '--no-mdns') ? { ...additions, mdns: false } : additions),
  ];
}

/** How others find what is started. */
function presenceWords({ advertiseHosts, portMapping, mdns, endpoints }: Additions): string[] {
  return [
    ...(advertiseHosts ?? []).flatMap((host) => ['--advertise-host', host]),
    ...(portMapping ? ['--port-mapping'] : []),
    ...(mdns ? ['--mdns'] : []),
    ...(endpoints.fetch ? ['--fetch-endpoints'] : []),
    ...(endpoints.push ? ['--push-endpoints'] : []),
  ];
}
