// Taking over a tree, steps T1 to T7 of docs/protocols.md 4.5. Whatever step it dies in, the next candidate starts again with
// the next epoch: records not in the root are still in the old segments, which stay listed until T6. Nothing is answered
// before T6 is chosen.

import { equalBytes } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { JournalBatch, JournalSegment, RootHeader } from '../consensus/consensus.ts';
import { fewer } from '../peer/relayed-endpoint.ts';
import { BaseTree } from './base/base-tree.ts';
import { checkGeneration } from './committer.ts';
import { checkOwn, type Root, type TreeContext, writeOwn } from './context.ts';
import { openBatch } from './effects.ts';
import type { Leadership } from './leadership.ts';
import { Memtable } from './memtable.ts';
import type { Change } from './messages.ts';
import { packPending } from './packing.ts';

/** All a journal can hold, with the overhead of small entries. */
const replayBytesMax = 4 * limits.journalBytesMax;
const openAttemptsMax = 3;

/** Where a takeover stands: tests stop it at each step. */
export type TakeoverStep = 'claim' | 'recover' | 'write' | 'activate' | 'open';

export interface TakeoverOptions {
  /** The epoch to follow: when another candidate was first, this one gives up with `conflict`. */
  after: Root;
  onStep?: ((step: TakeoverStep) => void) | undefined;
}

export async function takeOver(context: TreeContext, options: TakeoverOptions): Promise<Leadership> {
  const { after, onStep } = options;
  onStep?.('claim');
  if (after.header.state === 'idle') return serve(context, await claimIdle(context, after), [], options);
  const claimed = await claim(context, after); // T1, T2
  onStep?.('recover');
  const batches = await context.store.journals.recover(claimed.snapshot); // T3, T4
  const changes = await readChanges(context, batches, claimed.header);
  onStep?.('write');
  const written = await writeBase(context, claimed, changes); // T5
  onStep?.('activate');
  const active = await activate(context, claimed, written); // T6
  return serve(context, active, changes, options); // T7
}

function nextEpoch(context: TreeContext, current: Root, after: Root): RootHeader {
  const { header } = current;
  if (header.epoch !== after.header.epoch || header.state !== after.header.state)
    throw new InfinitError('conflict', 'another client was first to take over', { data: { epoch: header.epoch } });
  const { node, session } = context;
  const endpoints = fewer(context.endpoints(), 4);
  return { ...header, epoch: header.epoch + 1, leader: { node, session, endpoints } };
}

/** A resigned leader left nothing outside the root: claimed and activated in one step. */
function claimIdle(context: TreeContext, after: Root): Promise<Root> {
  return writeOwn(context, after.header.epoch + 1, (current) => {
    const header = nextEpoch(context, current, after);
    return activated(current, header, header.applied, {});
  });
}

function claim(context: TreeContext, after: Root): Promise<Root> {
  return writeOwn(context, after.header.epoch + 1, (current) => {
    if (isMine(context, current, after)) return current;
    return { header: { ...nextEpoch(context, current, after), state: 'recovering' }, body: current.body };
  });
}

/** A claim whose outcome was unknown may be chosen by now. Only a claim: an active epoch may have been led meanwhile. */
function isMine(context: TreeContext, current: Root, after: Root): boolean {
  const { epoch, leader, state } = current.header;
  return (
    epoch === after.header.epoch + 1 &&
    state === 'recovering' &&
    leader !== undefined &&
    equalBytes(leader.session, context.session)
  );
}

function activated(current: Root, header: RootHeader, applied: number, body: Partial<Root['body']>) {
  const segment: JournalSegment = {
    id: current.body.nextSegment,
    epoch: header.epoch,
    start: applied + 1,
    members: [...current.snapshot.members],
  };
  return {
    header: { ...header, state: 'active' as const, applied, segments: [segment] },
    body: { ...current.body, ...body, nextSegment: current.body.nextSegment + 1 },
  };
}

/** The records above the root, opened and checked: no hole, epochs never go back. */
async function readChanges(
  context: TreeContext,
  batches: readonly JournalBatch[],
  header: RootHeader,
): Promise<Change[]> {
  const changes: Change[] = [];
  let newest = 0;
  for (const batch of batches) {
    // What the root contains may be sealed under an earlier secret.
    if (batch.last <= header.applied) continue;
    const { epoch, records } = await openBatch(context.journal, batch);
    if (epoch < newest || epoch >= header.epoch) throw new InfinitError('corrupt', 'journal: epochs out of order');
    newest = epoch;
    records.forEach((effects, i) => {
      const sequence = batch.first + i;
      if (sequence <= header.applied) return;
      if (sequence !== header.applied + changes.length + 1)
        throw new InfinitError('corrupt', `journal: record ${header.applied + changes.length + 1} is missing`);
      changes.push({ sequence, effects });
    });
  }
  return changes;
}

interface Written {
  applied: number;
  body: Partial<Root['body']>;
  /** Of what was put for it, at least. */
  generation: number;
}

async function writeBase(context: TreeContext, root: Root, changes: readonly Change[]): Promise<Written> {
  const { applied, gcGeneration: generation } = root.header;
  if (changes.length === 0) return { applied, body: {}, generation };
  const memtable = new Memtable({ bytesMax: replayBytesMax });
  for (const { effects } of changes) memtable.apply(effects);
  const packed = await packPending(context, memtable.freeze(), root.body.nextPack);
  const merged = await new BaseTree(context.nodes, root.body).merge(packed.effects);
  const nextPack = root.body.nextPack + packed.packs;
  return {
    applied: applied + changes.length,
    body: { root: merged.root, height: merged.height, nextPack },
    generation,
  };
}

function activate(context: TreeContext, claimed: Root, written: Written): Promise<Root> {
  return writeOwn(context, claimed.header.epoch, (current) => {
    checkOwn(current, claimed.header.epoch, context.session);
    if (current.header.state === 'active') return current;
    checkGeneration(current.header, written.generation);
    return activated(current, current.header, written.applied, written.body);
  });
}

async function serve(
  context: TreeContext,
  root: Root,
  recovered: readonly Change[],
  { after, onStep }: TakeoverOptions,
): Promise<Leadership> {
  onStep?.('open');
  const predecessor = after.header.leader?.session;
  const [segment] = root.header.segments;
  if (segment === undefined) throw new InfinitError('internal', 'an active root lists a segment');
  for (let attempt = 1; ; attempt++) {
    try {
      const writer = await context.store.journals.open(root.snapshot, segment, context.user);
      return { root, base: new BaseTree(context.nodes, root.body), writer, recovered, predecessor };
    } catch (error) {
      if (!isError(error, 'unavailable') || attempt >= openAttemptsMax) throw error;
    }
  }
}
