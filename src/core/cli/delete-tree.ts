// What `volume delete` and `key-value-store delete` share: with `--clear-content` the data goes too, from the whole network and for
// good, after a question; how far the nodes are is told.

import { Flags } from '@oclif/core';
import { InfinitError } from '../base/errors.ts';
import type { TreeKind } from '../descriptor/descriptor.ts';
import { peerFlag, pullFlag } from './flags.ts';
import type { Invocation } from './invocation.ts';
import { expandPeers, withoutUndefined } from './presence.ts';
import { Progress } from './progress.ts';
import { formatBytes } from './quantities.ts';
import type { Acting, DestroyFacts, Running } from './running.ts';
import { removedJson, removedLines, treeDeletionWarning } from './texts.ts';

export const deleteFlags = {
  ...pullFlag,
  purge: Flags.boolean({ description: 'delete what hangs on it as well: the drives of a volume' }),
  'clear-content': Flags.boolean({ description: 'delete its data as well: from the whole network, for good' }),
  force: Flags.boolean({
    char: 'f',
    description: 'with --clear-content: ask nothing; who has it open is told, and ends',
  }),
  ...peerFlag,
};

interface ClearFlagValues {
  force: boolean;
  peer?: string[] | undefined;
}

/** What a command has for it. */
interface Clearing {
  invocation: Invocation;
  script: boolean;
  acting: Acting;
  running: Pick<Running, 'destroy'>;
  warn(text: string): unknown;
}

/** What to answer. Throws `cancelled` when the person does not mean it. */
export async function clearTree(
  { invocation, script, acting, running, warn }: Clearing,
  { kind, name: given }: { kind: TreeKind; name: string },
  flags: ClearFlagValues,
): Promise<{ value: unknown; lines: string[] }> {
  const label = kind === 'volume' ? 'volume' : 'key-value store';
  if (!script && !flags.force) {
    warn(treeDeletionWarning(label));
    const { confirmByTyping } = await import('./questions.ts');
    if (!(await confirmByTyping(invocation, `Type the name of the ${label} to delete it:`, given)))
      throw new InfinitError('cancelled', `${label} "${given}" is kept: the name typed is another`);
  }
  const shown = new Progress(invocation.stderr, { quiet: script });
  const progress = (facts: DestroyFacts) =>
    shown.tell(progressLine(facts), facts.of === 0 ? undefined : facts.nodes / facts.of);
  const peers = await expandPeers(invocation, flags.peer);
  const { force } = flags;
  const options = { ...acting, kind, name: given, force, progress, ...withoutUndefined({ peers }) };
  const { name, ...facts } = await running.destroy(options).finally(() => shown.done());
  const removed = [{ kind, name }];
  return {
    value: removedJson(removed).map((one) => ({ ...one, ...facts })),
    lines: [...removedLines(removed), ...outcome(facts)],
  };
}

function progressLine({ nodes, of, bytes }: DestroyFacts): string {
  return `${nodes} of ${of} nodes are rid of its data, ${formatBytes(bytes)} given back`;
}

function outcome({ nodes, missed, copies, bytes }: DestroyFacts): string[] {
  if (nodes + missed === 0) return ['It had no data in the network.'];
  const lines = [`Its data is gone: ${formatBytes(bytes)} in ${copies} copies on ${nodes} nodes.`];
  if (missed > 0) lines.push(`Nodes that could not be reached: ${missed}; they give it back when they are.`);
  return lines;
}
