// What commands that speak with the hub share: `push`, `fetch` and `pull` of an object, and how their answers are told.

import type { DescriptorKind } from '../descriptor/descriptor.ts';
import { describe } from '../descriptor/home-repository.ts';
import type { Fetched } from '../hub/client/sharing.ts';
import { BaseCommand } from './base-command.ts';
import { fetchedLines, pulled, remotely } from './texts.ts';

export abstract class HubCommand extends BaseCommand {
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
