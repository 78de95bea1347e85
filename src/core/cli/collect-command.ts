// What `volume collect` and `key-value-store collect` share: asking for a garbage cycle, waiting for it, telling how it went.

import { Flags } from '@oclif/core';
import { BaseCommand } from './base-command.ts';
import { durationFlag } from './flags.ts';
import { Progress } from './progress.ts';
import { formatBytes } from './quantities.ts';
import type { CollectionFacts, CollectOptions } from './running.ts';

export const collectFlags = {
  grace: durationFlag('how long what is not used any more is kept for those who still read it (default: 1h)'),
  wait: Flags.boolean({ description: 'wait until the cycle has ended' }),
  status: Flags.boolean({ description: 'only tell how it stands', exclusive: ['grace', 'wait'] }),
};

interface CollectFlagValues {
  grace?: number | undefined;
  wait: boolean;
  status: boolean;
}

export abstract class CollectCommand extends BaseCommand {
  protected async collect(kind: CollectOptions['kind'], name: string, flags: CollectFlagValues): Promise<void> {
    const acting = await this.acting();
    const { collect } = await this.running();
    const shown = new Progress(this.invocation.stderr, { quiet: this.script });
    const progress = flags.wait ? (facts: CollectionFacts) => shown.tell(stateLine(facts)) : undefined;
    const options = { ...acting, kind, name, begin: !flags.status, graceMs: flags.grace, progress };
    const facts = await collect(options).finally(() => shown.done());
    this.render(facts, [stateLine(facts), ...lastLines(facts)]);
  }
}

function stateLine({ name, state, asked, wait_ms }: CollectionFacts): string {
  if (state === 'waiting') return `Garbage of "${name}" is marked; it goes in ${Math.ceil((wait_ms ?? 0) / 1000)} s.`;
  if (state !== 'idle') return `Garbage of "${name}" is collected: ${state}.`;
  return asked ? `A garbage cycle of "${name}" is about to begin.` : `No garbage of "${name}" is being collected.`;
}

function lastLines({ last, last_error }: CollectionFacts): string[] {
  const lines = last_error === undefined ? [] : [`The last cycle was given up: ${last_error}`];
  if (last === undefined) return lines;
  const { ended, copies, bytes, nodes, missed } = last;
  const away = missed === 0 ? '' : `; nodes left out: ${missed}`;
  return [...lines, `Last cycle: ${ended}, ${formatBytes(bytes)} in ${copies} copies on ${nodes} nodes${away}.`];
}
