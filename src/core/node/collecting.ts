// Garbage collection as the command line asks for it: the process of this device that serves the volume or the store passes the
// question on to the leader, wherever that is.

import { InfinitError, isError } from '../base/errors.ts';
import type { CollectionFacts, CollectOptions, Running } from '../cli/running.ts';
import { getKeyValueStore } from '../descriptor/key-value-stores.ts';
import { getVolume } from '../descriptor/volumes.ts';
import type { Tree } from '../tree/tree.ts';
import { askMonitor, type Queries } from './monitor.ts';
import { monitorSocket } from './sockets.ts';

/** Leaders are looked for longer than other answers take. */
const timeoutMs = 60_000;
const pollMs = 500;

/** What the control socket of a process that serves a tree answers about its garbage. */
export function collectQueries(name: string, tree: Tree): Queries {
  return {
    collect: async ({ begin, graceMs }): Promise<CollectionFacts> => {
      const asked = begin === true ? { graceMs: typeof graceMs === 'number' ? graceMs : undefined } : undefined;
      const { state, generation, asked: waits, waitMs, last, lastError } = await tree.collect(asked);
      return {
        name,
        state,
        generation,
        asked: waits,
        ...(state === 'waiting' && { wait_ms: waitMs }),
        ...(last && { last: factsOf(last) }),
        ...(lastError !== undefined && { last_error: lastError }),
      };
    },
  };
}

function factsOf({ blocks, endedMs, ...last }: NonNullable<Awaited<ReturnType<Tree['collect']>>['last']>) {
  return { ...last, copies: blocks, ended: new Date(endedMs).toISOString() };
}

export const collect: Running['collect'] = async (options) => {
  const { context, begin, progress, signal } = options;
  if (progress === undefined) return ask(options, begin);
  const before = await ask(options, false);
  let facts = await ask(options, begin);
  for (let told = ''; !hasEnded(facts, before); facts = await ask(options, false)) {
    if (facts.state !== told) progress(facts);
    told = facts.state;
    await context.runtime.clock.sleep(pollMs, { signal });
  }
  if (facts.last_error === undefined) return facts;
  throw new InfinitError('unavailable', `the garbage cycle was given up: ${facts.last_error}`);
};

/** A cycle that was asked for after `before` is over. */
function hasEnded({ state, asked, last, last_error }: CollectionFacts, before: CollectionFacts): boolean {
  if (state !== 'idle' || asked) return false;
  return last_error !== undefined || (last?.generation ?? 0) > (before.last?.generation ?? 0);
}

async function ask(
  { context, as, name: given, kind, graceMs }: CollectOptions,
  begin: boolean,
): Promise<CollectionFacts> {
  const { name } = await (kind === 'volume' ? getVolume(context, as, given) : getKeyValueStore(context, as, given));
  try {
    const fields = { begin, ...(graceMs !== undefined && { graceMs }) };
    const socket = monitorSocket(context.home, kind, as, name);
    return (await askMonitor(socket, 'collect', { fields, timeoutMs })) as CollectionFacts;
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
    const [label, how] = kind === 'volume' ? ['volume', 'volume start'] : ['key-value store', 'key-value-store run'];
    throw new InfinitError('unavailable', `${label} "${name}" is not running on this device`, {
      hint: `infinit ${how} ${name}`,
    });
  }
}
