// What `daemon run` and `daemon start` share: the same daemon, here or in the background.

import { join } from 'node:path';
import { Flags } from '@oclif/core';
import type { LogLevel } from '../runtime/runtime.ts';
import { prometheusFlag } from './flags.ts';
import { withoutUndefined } from './presence.ts';
import { RunCommand } from './run-command.ts';
import type { RunDaemonOptions } from './supervising.ts';

/** Also the names of the original. */
const levels: Readonly<Record<string, LogLevel>> = {
  ...{ error: 'error', warn: 'warn', info: 'info', debug: 'debug' },
  ...{ NONE: 'error', LOG: 'info', TRACE: 'debug', DEBUG: 'debug', DUMP: 'debug' },
};

const several = { multiple: true, multipleNonGreedy: true } as const;

export const daemonFlags = {
  mount: Flags.string({
    description: 'volume to keep mounted; repeatable',
    helpValue: 'VOLUME',
    ...several,
  }),
  network: Flags.string({
    char: 'N',
    description: 'network whose node of this device to keep running, mounts or not; repeatable',
    helpValue: 'NETWORK',
    ...several,
  }),
  'mount-root': Flags.string({
    description: 'volumes without a mountpoint are mounted in OWNER/NAME below it',
    helpValue: 'DIRECTORY',
  }),
  'advertise-host': Flags.string({
    description: 'further host for all it starts to announce; repeatable',
    helpValue: 'HOST',
    ...several,
  }),
  'port-mapping': Flags.boolean({ description: 'all nodes it starts ask the router to let others in' }),
  mdns: Flags.boolean({ description: 'all it starts finds others on the local network, and is found there' }),
  fetch: Flags.boolean({ char: 'f', description: 'all it starts looks on the hub for other nodes' }),
  push: Flags.boolean({ char: 'p', description: 'all it starts says on the hub where it is' }),
  'log-level': Flags.option({
    description: 'how much is logged (default: warn, of the daemon itself info)',
    helpValue: 'LEVEL',
    options: Object.keys(levels),
  })(),
  ...prometheusFlag,
  'log-path': Flags.string({
    description: 'folder of the logs (default: logs in the cache folder)',
    helpValue: 'DIRECTORY',
  }),
};

interface DaemonFlagValues {
  mount?: string[] | undefined;
  network?: string[] | undefined;
  'mount-root'?: string | undefined;
  'advertise-host'?: string[] | undefined;
  'port-mapping': boolean;
  mdns: boolean;
  fetch: boolean;
  push: boolean;
  'log-level'?: string | undefined;
  'log-path'?: string | undefined;
  prometheus?: string | undefined;
}

export abstract class DaemonCommand extends RunCommand {
  protected override readonly goesOn = true;

  /** The flags as options again, with absolute paths. */
  protected daemonWords(flags: DaemonFlagValues): string[] {
    const option = (name: string, values: readonly (string | undefined)[]) =>
      values.flatMap((value) => (value === undefined ? [] : [`--${name}`, value]));
    return [
      ...option('mount', flags.mount ?? []),
      ...option('network', flags.network ?? []),
      ...option('mount-root', [this.pathOf(flags['mount-root'])]),
      ...option('advertise-host', flags['advertise-host'] ?? []),
      ...(flags['port-mapping'] ? ['--port-mapping'] : []),
      ...(flags.mdns ? ['--mdns'] : []),
      ...(flags.fetch ? ['--fetch'] : []),
      ...(flags.push ? ['--push'] : []),
      ...option('log-level', [flags['log-level']]),
      ...option('log-path', [this.pathOf(flags['log-path'])]),
      ...option('prometheus', [flags.prometheus]),
    ];
  }

  /** Everything but what is told when it serves. */
  protected async daemonOptions(
    flags: DaemonFlagValues,
    where: 'here' | 'background',
  ): Promise<Omit<RunDaemonOptions, 'ready'>> {
    const logs = this.pathOf(flags['log-path']);
    const level = flags['log-level'] === undefined ? undefined : levels[flags['log-level']];
    this.logging = { ...this.logging, level: level ?? this.logging.level ?? 'info' };
    if (where === 'here' && logs !== undefined) this.logging = { ...this.logging, path: join(logs, 'daemon.log') };
    const argv = this.foregroundWords('daemon run');
    return {
      ...(await this.acting()),
      volumes: flags.mount ?? [],
      networks: flags.network ?? [],
      endpoints: { fetch: flags.fetch, push: flags.push },
      ...withoutUndefined({
        mountRoot: this.pathOf(flags['mount-root']),
        advertiseHosts: flags['advertise-host'],
        portMapping: flags['port-mapping'],
        mdns: flags.mdns,
        logs,
        logLevel: level,
        prometheus: this.metricsEndpoint(flags.prometheus),
        daemon: where === 'background' ? { argv } : undefined,
      }),
      force: this.invocation.forceRequested(),
    };
  }
}
