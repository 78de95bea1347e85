// What commands that start part of a node share: options as values for the composition root, founding, requests on input.

import type { Readable } from 'node:stream';
import { limits } from '../base/limits.ts';
import type { Found } from '../descriptor/links.ts';
import { qualify } from '../descriptor/names.ts';
import { BaseCommand } from './base-command.ts';
import { readRequests, readStream } from './documents.ts';
import { type HubFlagValues, hubPresenceOf, presenceOf, type RunFlagValues, withoutUndefined } from './presence.ts';
import type { RunOptions, Script } from './running.ts';

export abstract class RunCommand extends BaseCommand {
  private reading: Readable | undefined;

  /** What served may have ended before its requests: nobody waits for more of them. */
  protected override async finally(error: Error | undefined): Promise<unknown> {
    this.reading?.destroy();
    return super.finally(error);
  }

  /** Everything but what is told when it serves. */
  protected async runOptions(name: string, flags: RunFlagValues & HubFlagValues): Promise<Omit<RunOptions, 'ready'>> {
    if (flags['cache-ram-ttl'] !== undefined || flags['cache-ram-invalidation'] !== undefined) {
      this.tell('--cache-ram-ttl and --cache-ram-invalidation have no effect: caches are never stale');
    }
    const log = this.logTo(flags.log);
    const presence = hubPresenceOf(flags);
    const hub = presence && { ...presence, client: (await this.sharing()).hub.client };
    return {
      ...(await this.acting()),
      ...(await presenceOf(this.invocation, flags)),
      ...withoutUndefined({
        log,
        hub,
        daemon: flags.daemon ? { argv: this.foregroundWords() } : undefined,
        prometheus: this.metricsEndpoint(flags.prometheus),
      }),
      name: qualify('network', name, this.user),
      monitoring: flags.monitoring,
    };
  }

  /** How a network is founded, for links with silos. */
  protected async founder(silos: readonly string[] | undefined): Promise<Found | undefined> {
    if (silos === undefined || silos.length === 0) return undefined;
    const acting = await this.acting();
    const { found } = await this.running();
    return (link, seal) => found(acting, link, seal);
  }

  /** `--script`: requests from `--input` or standard input, replies to standard output, a line each. */
  protected requests(input: string | undefined): Script {
    const isFile = input !== undefined && input !== '-';
    const stream = isFile ? readStream(this.invocation, input) : this.invocation.stdin;
    this.reading = stream;
    return {
      requests: readRequests(stream, 2 * limits.blockBytesMax),
      reply: (value) => this.printJson(value),
    };
  }

  /** The words of the child that `--daemon` starts. */
  protected foregroundWords(command: string = this.id ?? ''): string[] {
    const words = this.argv.filter((word) => word !== '--daemon' && word !== '-d');
    return [...command.split(' '), ...words];
  }

  /** As given, else as the environment says; `no` and `0` mean nowhere. */
  protected metricsEndpoint(given: string | undefined): string | undefined {
    const endpoint = given ?? this.environment.prometheus;
    return endpoint === undefined || endpoint === 'no' || endpoint === '0' ? undefined : endpoint;
  }

  /** Where the log goes, from now on. */
  protected logTo(file: string | undefined): string | undefined {
    const log = this.pathOf(file);
    if (log !== undefined) this.logging = { ...this.logging, path: log };
    return log;
  }
}
