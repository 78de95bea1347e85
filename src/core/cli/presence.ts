// Options of everything that runs a node: how it is reached, whom it tries first, how much it caches.

import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Flags } from '@oclif/core';
import { limits } from '../base/limits.ts';
import { readDocument } from './documents.ts';
import { bytesFlag, durationFlag, inputFlag, integerFlag, peerFlag, portFlag, prometheusFlag } from './flags.ts';
import type { Invocation } from './invocation.ts';
import type { CacheSizes, HubPresence, Presence, PresenceFiles } from './running.ts';

export const runFlags = {
  ...inputFlag,
  ...peerFlag,
  ...portFlag,
  daemon: Flags.boolean({ char: 'd', description: 'run in the background; returns once it serves' }),
  monitoring: Flags.boolean({ description: 'answer `network inspect` (default: yes)', default: true, allowNo: true }),
  listen: Flags.string({ description: 'address to listen on (default: all)', helpValue: 'IP' }),
  'port-file': Flags.string({ description: 'write the port to this file', helpValue: 'FILE' }),
  'endpoints-file': Flags.string({ description: 'write the endpoints to this file', helpValue: 'FILE' }),
  'peers-file': Flags.string({ description: 'keep the known peers in this file', helpValue: 'FILE' }),
  'advertise-host': Flags.string({
    description: 'further host to announce; repeatable',
    helpValue: 'HOST',
    multiple: true,
    multipleNonGreedy: true,
  }),
  'no-local-endpoints': Flags.boolean({ description: 'do not announce addresses of local networks' }),
  'no-public-endpoints': Flags.boolean({ description: 'do not announce public addresses' }),
  mdns: Flags.boolean({ description: 'find others on the local network, and be found there' }),
  'port-mapping': Flags.boolean({ description: 'ask the router to let others in to this storage node' }),
  cache: Flags.boolean({ description: 'cache blocks in memory (default: yes)', default: true, allowNo: true }),
  'cache-ram-size': bytesFlag('memory for cached blocks', '64MB'),
  'cache-ram-ttl': durationFlag('accepted for older scripts: caches are never stale here'),
  'cache-ram-invalidation': durationFlag('accepted for older scripts: caches are never stale here'),
  log: Flags.string({ description: 'write the log to this file', helpValue: 'FILE' }),
  ...prometheusFlag,
};

/** What it has to do with the hub. */
export const storedHubFlags = {
  publish: Flags.boolean({ description: 'say on the hub where the node is, and look there for others' }),
  'push-endpoints': Flags.boolean({ description: 'say on the hub where the node is' }),
  'fetch-endpoints': Flags.boolean({ description: 'look on the hub for others' }),
  'fetch-endpoints-interval': integerFlag(
    'interval',
    'seconds after which the hub is told and asked again (default: 300)',
    1,
    86_400,
  ),
};

/** The same with the short forms of older scripts. */
export const hubFlags = {
  ...storedHubFlags,
  'push-endpoints': { ...storedHubFlags['push-endpoints'], char: 'p' as const, aliases: ['push'] },
  'fetch-endpoints': { ...storedHubFlags['fetch-endpoints'], char: 'f' as const, aliases: ['fetch'] },
};

export interface HubFlagValues {
  publish: boolean;
  'push-endpoints': boolean;
  'fetch-endpoints': boolean;
  'fetch-endpoints-interval'?: number | undefined;
}

/** Undefined: nothing. */
export function hubPresenceOf(flags: HubFlagValues): Omit<HubPresence, 'client'> | undefined {
  const push = flags.publish || flags['push-endpoints'];
  const fetch = flags.publish || flags['fetch-endpoints'];
  if (!push && !fetch) return undefined;
  const seconds = flags['fetch-endpoints-interval'];
  return { push, fetch, intervalMs: seconds === undefined ? limits.hubPeriodMs : seconds * 1000 };
}

/** What the parser makes of `runFlags`. */
export interface RunFlagValues {
  daemon: boolean;
  monitoring: boolean;
  log?: string | undefined;
  prometheus?: string | undefined;
  peer?: string[] | undefined;
  port?: number | undefined;
  listen?: string | undefined;
  'port-file'?: string | undefined;
  'endpoints-file'?: string | undefined;
  'peers-file'?: string | undefined;
  'advertise-host'?: string[] | undefined;
  'no-local-endpoints': boolean;
  'no-public-endpoints': boolean;
  mdns: boolean;
  'port-mapping': boolean;
  cache: boolean;
  'cache-ram-size'?: number | undefined;
  'cache-ram-ttl'?: number | undefined;
  'cache-ram-invalidation'?: number | undefined;
}

export async function presenceOf(invocation: Invocation, flags: RunFlagValues): Promise<Presence & CacheSizes> {
  return withoutUndefined({
    ...presenceFilesOf(invocation, flags),
    peers: await expandPeers(invocation, flags.peer),
    port: flags.port,
    listen: flags.listen,
    advertiseHosts: flags['advertise-host'],
    noLocalEndpoints: flags['no-local-endpoints'],
    noPublicEndpoints: flags['no-public-endpoints'],
    mdns: flags.mdns,
    portMapping: flags['port-mapping'],
    cache: flags.cache,
    ramBytes: flags['cache-ram-size'],
  });
}

type FileFlagValues = Pick<RunFlagValues, 'port-file' | 'endpoints-file' | 'peers-file'>;

export function presenceFilesOf(invocation: Invocation, flags: FileFlagValues): PresenceFiles {
  const path = (file: string | undefined) => file && resolve(invocation.workingDirectory, file);
  return withoutUndefined({
    portFile: path(flags['port-file']),
    endpointsFile: path(flags['endpoints-file']),
    peersFile: path(flags['peers-file']),
  });
}

/** Endpoints as given, and those in files as given, one a line; `#` begins a comment. */
export async function expandPeers(
  invocation: Invocation,
  peers: readonly string[] | undefined,
): Promise<string[] | undefined> {
  if (peers === undefined) return undefined;
  const lists = await Promise.all(
    peers.map(async (peer) => {
      const path = resolve(invocation.workingDirectory, peer);
      const isFile = await stat(path).then(
        (found) => found.isFile(),
        () => false,
      );
      if (!isFile) return [peer];
      const text = (await readDocument(invocation, path, limits.descriptorBytesMax)).toString('utf8');
      return text.split('\n').map((line) => line.replace(/#.*/, '').trim());
    }),
  );
  return lists.flat().filter((peer) => peer !== '');
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The object without its undefined fields, so that an absent option is an absent field. */
export function withoutUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Defined<T>;
}
