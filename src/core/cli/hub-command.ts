// What commands that speak with the hub share: `push`, `fetch` and `pull` of an object, and how their answers are told.

import type { DescriptorKind, TreeKind } from '../descriptor/descriptor.ts';
import { describe } from '../descriptor/home-repository.ts';
import { qualify } from '../descriptor/names.ts';
import { labelOf } from '../descriptor/stream.ts';
import type { Fetched } from '../hub/client/sharing.ts';
import { BaseCommand } from './base-command.ts';
import { expandPeers, withoutUndefined } from './presence.ts';
import { fetchedLines, pulled, remotely } from './texts.ts';

/** Kinds whose names are `owner/name`. */
type OwnedKind = 'network' | 'drive' | TreeKind;

interface Named {
  args: { name?: string | undefined };
  flags: { name?: string | undefined };
}

export abstract class HubCommand extends BaseCommand {
  protected pushNamed(kind: OwnedKind, parsed: Named): Promise<void> {
    return this.push(kind, this.qualified(kind, this.nameOf(parsed)));
  }

  /** `--fetch`: users named, or given by `#hash`, who are not known here; groups and keys need nobody. */
  protected async fetchUnknown(users: readonly string[]): Promise<void> {
    const [sharing, { fetchUnknownUsers }] = await Promise.all([this.sharing(), import('../hub/client/sharing.ts')]);
    const fetched = await fetchUnknownUsers(sharing, users);
    this.say(...fetchedLines(fetched));
  }

  protected pullNamed(kind: OwnedKind, parsed: Named, purge?: boolean): Promise<void> {
    return this.pull(kind, this.qualified(kind, this.nameOf(parsed)), purge);
  }

  /** The one that is named; undefined: all. */
  protected oneOrAll(kind: OwnedKind, parsed: Named): string | undefined {
    const isNamed = (parsed.args.name ?? parsed.flags.name) !== undefined;
    return isNamed ? this.qualified(kind, this.nameOf(parsed)) : undefined;
  }

  protected async fetchTrees(
    kind: TreeKind,
    parsed: Named & { flags: { network?: string | undefined; service: boolean; peer?: string[] | undefined } },
  ): Promise<void> {
    const { network, service, peer } = parsed.flags;
    if (service) {
      const { fetchServices } = await this.running();
      const asked = withoutUndefined({
        ...{ name: this.oneOrAll(kind, parsed), network },
        peers: await expandPeers(this.invocation, peer),
      });
      return this.tellFetched(await fetchServices({ ...(await this.acting()), kind, ...asked }));
    }
    const { fetchTrees } = await import('../hub/client/sharing.ts');
    const asked = {
      name: this.oneOrAll(kind, parsed),
      network: network === undefined ? undefined : this.qualified('network', network),
    };
    this.tellFetched(await fetchTrees(await this.sharing(), kind, asked));
  }

  private qualified(kind: OwnedKind, name: string): string {
    return qualify(labelOf(kind), name, this.user);
  }

  /** From home to hub. */
  protected async push(kind: Exclude<DescriptorKind, 'user'>, name: string): Promise<void> {
    const { push } = await import('../hub/client/sharing.ts');
    const result = await push(await this.sharing(), kind, name);
    this.render({ type: kind, name, result }, remotely(result, kind, name));
  }

  /** Off the hub. */
  protected async pull(kind: DescriptorKind, name: string, purge?: boolean): Promise<void> {
    const { pull } = await import('../hub/client/sharing.ts');
    await pull(await this.sharing(), kind, name, { purge });
    this.render({ type: kind, name, result: 'deleted' }, pulled(kind, name));
  }

  /** Says what came; what could not be taken in is a warning each, and makes the exit code 1. */
  protected tellFetched(fetched: readonly Fetched[]): void {
    for (const { kind, name, error } of fetched) if (error) this.warn(`${describe(kind, name)}: ${error.message}`);
    if (fetched.some(({ result }) => result === 'failed')) this.code = 1;
    this.render(
      fetched.map(({ kind, name, result, error }) => ({
        type: kind,
        name,
        result,
        ...(error && { reason: error.message }),
      })),
      fetchedLines(fetched),
    );
  }
}
