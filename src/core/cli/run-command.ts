// What commands that start part of a node share: options as values for the composition root, founding, requests on input.

import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { limits } from '../base/limits.ts';
import type { Found } from '../descriptor/links.ts';
import { qualify } from '../descriptor/names.ts';
import { BaseCommand } from './base-command.ts';
import { readRequests } from './documents.ts';
import { presenceOf, type RunFlagValues, withoutUndefined } from './presence.ts';
import type { RunNetworkOptions, RunOptions } from './running.ts';

export abstract class RunCommand extends BaseCommand {
  /** Everything but what is told when it serves. */
  protected async runOptions(name: string, flags: RunFlagValues): Promise<Omit<RunOptions, 'ready'>> {
    if (flags['cache-ram-ttl'] !== undefined || flags['cache-ram-invalidation'] !== undefined) {
      this.tell('--cache-ram-ttl and --cache-ram-invalidation have no effect: caches are never stale');
    }
    const log = flags.log && resolve(this.invocation.workingDirectory, flags.log);
    if (log !== undefined) this.logging = { ...this.logging, path: log };
    return {
      ...(await this.acting()),
      ...(await presenceOf(this.invocation, flags)),
      ...withoutUndefined({ log, daemon: flags.daemon ? { argv: this.foregroundWords() } : undefined }),
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
  protected requests(input: string | undefined): NonNullable<RunNetworkOptions['script']> {
    const stream =
      input === undefined || input === '-'
        ? this.invocation.stdin
        : createReadStream(resolve(this.invocation.workingDirectory, input));
    return {
      requests: readRequests(stream, 2 * limits.blockBytesMax),
      reply: (value) => this.printJson(value),
    };
  }

  /** The words of the child that `--daemon` starts. */
  private foregroundWords(): string[] {
    const words = this.argv.filter((word) => word !== '--daemon' && word !== '-d');
    return [...(this.id?.split(' ') ?? []), ...words];
  }
}
