// What happens inside the nodes of simulated worlds, told to whoever watches the world. The project's code knows nothing of
// it: methods of its classes are wrapped here, once a process, and say whose process they run in.

import { createHash } from 'node:crypto';
import { type Bytes, toHex } from '../../../src/core/base/bytes.ts';
import { asError, type InfinitError } from '../../../src/core/base/errors.ts';
import type { Address } from '../../../src/core/block/address.ts';
import type { JournalBatch, JournalSegment } from '../../../src/core/consensus/consensus.ts';
import { SegmentWriter } from '../../../src/core/consensus/journal/writer.ts';
import { Conversation, type ReadRound } from '../../../src/core/consensus/register/conversation.ts';
import type { CallContext, PeerIdentity } from '../../../src/core/peer/peer.ts';
import { type Service, Services } from '../../../src/core/peer/services.ts';
import type { Runtime } from '../../../src/core/runtime/runtime.ts';
import { LogSilo } from '../../../src/core/silo/filesystem/log-silo.ts';
import type { SiloEntry } from '../../../src/core/silo/silo.ts';
import { type FetchCounters, Fetching } from '../../../src/core/store/fetching.ts';
import { Mending } from '../../../src/core/store/mending.ts';
import { Repair } from '../../../src/core/store/repair.ts';
import { Sweeper } from '../../../src/core/store/sweeper.ts';
import { Witness } from '../../../src/core/store/witness.ts';
import { type Root, RootRegister, type TreeContext } from '../../../src/core/tree/context.ts';
import { Leader } from '../../../src/core/tree/leader.ts';
import type { ExecuteOptions, Ran } from '../../../src/core/tree/leadership.ts';
import type { LockAnswer, LockCall } from '../../../src/core/tree/locks/lock-messages.ts';
import { LockService } from '../../../src/core/tree/locks/lock-service.ts';
import type { OperationRequest, Outcome } from '../../../src/core/tree/messages.ts';
import type { Effect } from '../../../src/core/tree/tree.ts';
import { type Life, lifeOf } from '../runtime/host.ts';
import type { World } from '../runtime/world.ts';

/** A call as the node that serves it saw it, and what it is about to answer. */
export interface Served {
  life: Life;
  method: string;
  request: unknown;
  from: PeerIdentity;
  response: unknown;
  error: InfinitError | undefined;
}

export interface Led {
  life: Life;
  /** Hex of the root register's address. */
  tree: string;
  epoch: number;
}

/** By which order a block goes. */
export interface Swept {
  /** Hex of the root register's address. */
  tree: string;
  generation: number;
}

export interface Observer {
  served(call: Served): void;
  /** A silo is asked to write, and has said that it is durable. */
  storing(life: Life, silo: LogSilo, entries: readonly SiloEntry[]): void;
  stored(life: Life, silo: LogSilo, entries: readonly SiloEntry[]): void;
  /** Entries whose writing was refused. */
  notStored(life: Life, silo: LogSilo, entries: readonly SiloEntry[]): void;
  /** A sweep is about to delete a block, and has ended with it. */
  sweeping(life: Life, address: Address, order: Swept | undefined): void;
  /** A majority holds the batch, says its writer. */
  appended(led: Led, segment: JournalSegment, batch: JournalBatch): void;
  /** A leader has run an operation and journalled these effects; a retry of one that was answered before is not run. */
  executed(led: Led, request: OperationRequest, options: ExecuteOptions, ran: Ran, effects: readonly Effect[]): void;
  /** A leader answers. */
  answered(led: Led, kind: 'operation' | 'query', outcome: Outcome): void;
  /** A leader journals effects. */
  recorded(effects: readonly Effect[]): void;
  /** A leader has answered a call about locks. */
  locked(call: LockCall, answer: LockAnswer): void;
  /** A state of the protocols was reached that no message shows. */
  reached(life: Life, state: string): void;
  /** Somebody who can read it knows that this root is chosen. */
  rooted(life: Life, tree: string, root: Root): void;
}

const observers = new WeakMap<World, Observer>();
let installed = false;

/** From now on the world tells the observer. */
export function observe(world: World, observer: Observer): void {
  observers.set(world, observer);
  install();
}

function seenBy(life: Life | undefined): Observer | undefined {
  return life && observers.get(life.host.world);
}

/** Replaces a method; `around` is given the one before. */
export function wrap<A extends unknown[], R>(
  prototype: object,
  name: string,
  around: (real: (...args: A) => R, self: never, ...args: A) => R,
): () => void {
  const holder = prototype as Record<string, (...args: A) => R>;
  const own = Object.hasOwn(holder, name);
  const real = holder[name] as (...args: A) => R;
  holder[name] = function (this: never, ...args: A): R {
    return around((...given) => real.apply(this, given), this, ...args);
  };
  return () => {
    if (own) holder[name] = real;
    else delete holder[name];
  };
}

function install(): void {
  if (installed) return;
  installed = true;
  wrapCalls();
  wrapSilos();
  wrapSweeps();
  wrapJournals();
  wrapLeaders();
  wrapRoots();
  wrapLocks();
  wrapStates();
}

function wrapCalls(): void {
  type Run = [Service, () => unknown, CallContext];
  wrap<Run, Promise<unknown>>(Services.prototype, 'run', async (real, self, service, read, context) => {
    const life = lifeOf.get((self as { log: object }).log);
    const observer = seenBy(life);
    if (!life || !observer) return real(service, read, context);
    let request: unknown;
    const noting = () => {
      request = read();
      return request;
    };
    const call = { life, method: service.method.name, from: context.from };
    try {
      const response = await real(service, noting, context);
      observer.served({ ...call, request, response, error: undefined });
      return response;
    } catch (error) {
      observer.served({ ...call, request, response: undefined, error: asError(error) });
      throw error;
    }
  });
}

function wrapSilos(): void {
  wrap<[readonly SiloEntry[]], Promise<void>>(LogSilo.prototype, 'batch', async (real, self, entries) => {
    const silo = self as LogSilo;
    const life = lifeOf.get((silo as unknown as { options: { runtime: Runtime } }).options.runtime);
    const observer = seenBy(life);
    if (!life || !observer) return real(entries);
    observer.storing(life, silo, entries);
    try {
      await real(entries);
    } catch (error) {
      observer.notStored(life, silo, entries);
      throw error;
    }
    observer.stored(life, silo, entries);
  });
}

function wrapSweeps(): void {
  wrap<[unknown, Swept, Address], Promise<void>>(
    Sweeper.prototype,
    'drop',
    async (real, self, pass, order, address) => {
      const life = lifeOf.get((self as { options: { clock: object } }).options.clock);
      const observer = seenBy(life);
      if (!life || !observer) return real(pass, order, address);
      observer.sweeping(life, address, order);
      try {
        await real(pass, order, address);
      } finally {
        observer.sweeping(life, address, undefined);
      }
    },
  );
}

function wrapJournals(): void {
  wrap<[JournalBatch], Promise<void>>(SegmentWriter.prototype, 'append', async (real, self, batch) => {
    const writer = self as unknown as { parts: { runtime: Runtime } } & Pick<
      SegmentWriter,
      'tree' | 'epoch' | 'segment'
    >;
    await real(batch);
    const life = lifeOf.get(writer.parts.runtime);
    if (life) seenBy(life)?.appended({ life, tree: toHex(writer.tree), epoch: writer.epoch }, writer.segment, batch);
  });
}

function ledBy(leader: Leader): Led | undefined {
  const { context } = leader as unknown as { context: TreeContext };
  const life = lifeOf.get(context.runtime);
  return life && { life, tree: toHex(context.rootAddress), epoch: leader.epoch };
}

/** What each leader has journalled last: its executor runs one operation at a time. */
const journalled = new WeakMap<object, readonly Effect[]>();

function wrapLeaders(): void {
  wrap<[Effect[], boolean], void>(Leader.prototype, 'record', (real, self, effects, durable) => {
    journalled.set(self, effects);
    real(effects, durable);
    const led = ledBy(self);
    if (led) seenBy(led.life)?.recorded(effects);
  });
  wrap<[OperationRequest, ExecuteOptions], Promise<Ran>>(
    Leader.prototype,
    'run',
    async (real, self, request, options) => {
      const ran = await real(request, options);
      const led = ledBy(self);
      if (led) seenBy(led.life)?.executed(led, request, options, ran, journalled.get(self) ?? []);
      return ran;
    },
  );
  const answers = (name: 'execute' | 'query', kind: 'operation' | 'query') =>
    wrap<unknown[], Promise<Outcome>>(Leader.prototype, name, async (real, self, ...args) => {
      const outcome = await real(...args);
      const led = ledBy(self);
      if (led) seenBy(led.life)?.answered(led, kind, outcome);
      return outcome;
    });
  answers('execute', 'operation');
  answers('query', 'query');
}

function wrapRoots(): void {
  type Hidden = { options: { runtime: Runtime; address: Address } };
  const tell = (self: unknown, root: Root) => {
    const { runtime, address } = (self as Hidden).options;
    const life = lifeOf.get(runtime);
    if (life) seenBy(life)?.rooted(life, toHex(address), root);
  };
  wrap<unknown[], Promise<Root>>(RootRegister.prototype, 'read', async (real, self, ...args) => {
    const root = await real(...args);
    tell(self, root);
    return root;
  });
  wrap<unknown[], Promise<Root>>(RootRegister.prototype, 'write', async (real, self, ...args) => {
    const root = await real(...args);
    tell(self, root);
    return root;
  });
}

function wrapLocks(): void {
  wrap<[LockCall, Bytes], Promise<LockAnswer>>(LockService.prototype, 'serve', async (real, self, call, user) => {
    const answer = await real(call, user);
    const life = lifeOf.get((self as { options: { clock: object } }).options.clock);
    seenBy(life)?.locked(call, answer);
    return answer;
  });
}

function wrapStates(): void {
  const tell = (owner: object | undefined, state: string) => {
    const life = owner && lifeOf.get(owner);
    if (life) seenBy(life)?.reached(life, state);
  };
  wrap<unknown[], Promise<ReadRound>>(Conversation.prototype, 'read', async (real, self, ...args) => {
    const round = await real(...args);
    const { runtime } = self as { runtime: object };
    if (round.agreed) tell(runtime, 'register/fast read');
    return round;
  });
  wrap<[boolean], Promise<boolean>>(Witness.prototype, 'check', async (real, self, expectOthers) => {
    const isSetBack = await real(expectOthers);
    if (isSetBack) tell((self as { options: { runtime: object } }).options.runtime, 'store/set back noticed');
    return isSetBack;
  });
  wrap<unknown[], Promise<string>>(Fetching.prototype, 'fetch', async (real, self, ...args) => {
    const { counters, parts } = self as unknown as { counters: FetchCounters; parts: { throttle: { clock: object } } };
    const { fetched } = counters;
    const outcome = await real(...args);
    if (counters.fetched > fetched) tell(parts.throttle.clock, 'store/pull copied');
    return outcome;
  });
  wrap<unknown[], Promise<void>>(Repair.prototype, 'mend', async (real, self, ...args) => {
    const { counts, parts } = self as unknown as { counts: { mended: number }; parts: { runtime: object } };
    const { mended } = counts;
    await real(...args);
    if (counts.mended > mended) tell(parts.runtime, 'store/read repair');
  });
  wrap<unknown[], Promise<void>>(Mending.prototype, 'mend', async (real, self, ...args) => {
    const { counters, parts } = self as unknown as { counters: { mended: number }; parts: { runtime: object } };
    const { mended } = counters;
    await real(...args);
    if (counters.mended > mended) tell(parts.runtime, 'store/record mended');
  });
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('base64');
}
