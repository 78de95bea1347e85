// Options that say how a volume is mounted: kept in its descriptor by `create` and `update`, given for once to `run`, `mount` and
// `start`. None has a default here, so that what was not given is what the descriptor says.

import { resolve } from 'node:path';
import { Flags } from '@oclif/core';
import type { MountOptionsJson } from '../descriptor/descriptor.ts';
import { parsing } from './arguments.ts';
import { peerFlag, portFlag, registerServiceFlag } from './flags.ts';
import type { Invocation } from './invocation.ts';
import { expandPeers, type HubFlagValues, hubFlags, runFlags, storedHubFlags, withoutUndefined } from './presence.ts';
import { parseBytes } from './quantities.ts';

const fuseOptionFlag = {
  description: 'option of the mount, such as allow_other; repeatable, or separated by commas',
  helpValue: 'OPTION',
  multiple: true,
  multipleNonGreedy: true,
} as const;

export const mountpointFlag = {
  mountpoint: Flags.string({
    char: 'm',
    description: 'empty directory to mount on, made when missing',
    helpValue: 'DIRECTORY',
  }),
};

/** As `create` and `update` have them, where `-o` means the file to write. */
export const storedMountFlags = {
  ...mountpointFlag,
  readonly: Flags.boolean({ description: 'mount for reading only', allowNo: true }),
  async: Flags.boolean({ description: 'keep writes on this disk first and send them later', allowNo: true }),
  'fuse-option': Flags.string(fuseOptionFlag),
  'map-other-permissions': Flags.boolean({
    description: 'show others the rights of the group, for people with other numeric ids (default: no)',
    allowNo: true,
  }),
  'mount-name': Flags.string({ description: 'what the list of mounts shows (default: its name)', helpValue: 'NAME' }),
  cache: Flags.boolean({ description: 'cache blocks in memory (default: yes)', allowNo: true }),
  'cache-ram-size': runFlags['cache-ram-size'],
  'cache-ram-ttl': runFlags['cache-ram-ttl'],
  'cache-ram-invalidation': runFlags['cache-ram-invalidation'],
  monitoring: Flags.boolean({ description: 'answer `volume status` and `volume stop` (default: yes)', allowNo: true }),
  ...peerFlag,
  ...portFlag,
  listen: runFlags.listen,
  'advertise-host': runFlags['advertise-host'],
  'no-local-endpoints': runFlags['no-local-endpoints'],
  'no-public-endpoints': runFlags['no-public-endpoints'],
  'port-mapping': runFlags['port-mapping'],
  mdns: Flags.boolean({ description: 'find others on the local network, and be found there', allowNo: true }),
  ...storedHubFlags,
  'allow-root-creation': Flags.boolean({ description: 'accepted for older scripts: its owner makes the root anyway' }),
  ...registerServiceFlag('volume'),
};

/** As `run`, `mount` and `start` have them. */
export const mountFlags = {
  ...storedMountFlags,
  ...hubFlags,
  'fuse-option': Flags.string({ ...fuseOptionFlag, char: 'o' }),
};

export const blockSizeFlag = {
  'block-size': Flags.custom<number>({
    description: 'bytes programs are told to read and write at once (default: 1048576)',
    helpValue: 'SIZE',
    parse: parsing(parseBytes),
  })(),
};

export interface MountFlagValues extends HubFlagValues {
  mountpoint?: string | undefined;
  readonly?: boolean | undefined;
  async?: boolean | undefined;
  'fuse-option'?: string[] | undefined;
  'map-other-permissions'?: boolean | undefined;
  'mount-name'?: string | undefined;
  cache?: boolean | undefined;
  'cache-ram-size'?: number | undefined;
  'cache-ram-ttl'?: number | undefined;
  'cache-ram-invalidation'?: number | undefined;
  monitoring?: boolean | undefined;
  peer?: string[] | undefined;
  port?: number | undefined;
  listen?: string | undefined;
  'advertise-host'?: string[] | undefined;
  'no-local-endpoints'?: boolean | undefined;
  'no-public-endpoints'?: boolean | undefined;
  'port-mapping'?: boolean | undefined;
  mdns?: boolean | undefined;
  'allow-root-creation'?: boolean | undefined;
  'register-service'?: boolean | undefined;
}

/** Only what was given. */
export async function mountOptionsOf(invocation: Invocation, flags: MountFlagValues): Promise<MountOptionsJson> {
  const isGiven = (flag: boolean | undefined) => (flag ? true : undefined);
  return withoutUndefined({
    readonly: flags.readonly,
    async: flags.async,
    fuse_options: flags['fuse-option']?.flatMap((words) => words.split(',')).filter((word) => word !== ''),
    map_other_permissions: flags['map-other-permissions'],
    mount_name: flags['mount-name'],
    mountpoint: flags.mountpoint && resolve(invocation.workingDirectory, flags.mountpoint),
    cache: flags.cache,
    cache_ram_size: flags['cache-ram-size'],
    cache_ram_ttl: flags['cache-ram-ttl'],
    cache_ram_invalidation: flags['cache-ram-invalidation'],
    enable_monitoring: flags.monitoring,
    peers: await expandPeers(invocation, flags.peer),
    port: flags.port,
    listen_address: flags.listen,
    advertise_hosts: flags['advertise-host'],
    no_local_endpoints: isGiven(flags['no-local-endpoints']),
    no_public_endpoints: isGiven(flags['no-public-endpoints']),
    port_mapping: isGiven(flags['port-mapping']),
    mdns: flags.mdns,
    publish: isGiven(flags.publish),
    push: isGiven(flags['push-endpoints']),
    fetch: isGiven(flags['fetch-endpoints']),
    poll_beyond: inMs(flags['fetch-endpoints-interval']),
  });
}

function inMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}

/** Lines for options that mean nothing here. */
export function mountNotices(flags: MountFlagValues): string[] {
  const cache = flags['cache-ram-ttl'] !== undefined || flags['cache-ram-invalidation'] !== undefined;
  return [
    ...(cache ? ['--cache-ram-ttl and --cache-ram-invalidation have no effect: caches are never stale'] : []),
    ...(flags['allow-root-creation'] ? ['--allow-root-creation has no effect: its owner makes the root anyway'] : []),
  ];
}
