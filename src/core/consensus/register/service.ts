// A store's side of registers: serves `reg.batch`, keeps acceptor records in a silo. Messages for one register are handled one
// after another; everything a batch changes is made durable by one silo batch before anything is answered (G6).

import { type Bytes, equalBytes, toHex } from '../../base/bytes.ts';
import { asError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { type Address, type Member, sameMembers } from '../../block/address.ts';
import {
  type AuthorCheck,
  accessLoss,
  isRecovered,
  isRecovery,
  readImage,
  recoveredAt,
  type StateImage,
  StateVerifier,
} from '../../block/register-validity.ts';
import type { PeerIdentity } from '../../peer/peer.ts';
import type { Silo, SiloEntry } from '../../silo/silo.ts';
import { KeyGate } from '../key-gate.ts';
import {
  type AcceptorContext,
  type AcceptorRecord,
  type AcceptorStep,
  acceptorStep,
  committedBy,
  forGood,
  isCommitted,
  outdated,
  retired,
} from './acceptor.ts';
import { compareBallots } from './ballot.ts';
import { refuseConfiguration } from './configuration-rights.ts';
import { Confirmations } from './confirmation.ts';
import { Floor } from './floor.ts';
import type { InquiryParts } from './inquiry.ts';
import { LostMembers } from './lost-members.ts';
import {
  type CommitHint,
  type Entry,
  type Message,
  type RegisterCall,
  registerBatch,
  type WireReply,
} from './messages.ts';
import { type RecordChange, Records } from './records.ts';
import { Retirement } from './retirement.ts';
import { Settlements } from './settlement.ts';
import { messageFromWire, replyToWire } from './wire.ts';

export interface RegisterServiceOptions extends InquiryParts {
  silo: Silo;
  authors: AuthorCheck;
  /** How long stubs stand, and deleted registers stay (tests shorten it). */
  keep?: { stubMs: number; tombstoneMs: number } | undefined;
  /** Told of records that cannot be read, each time they are asked for. */
  rotten?: ((address: Address) => void) | undefined;
}

const keepDefault = { stubMs: limits.registerStubMs, tombstoneMs: limits.registerTombstoneMs };

/** One register as this store holds it; not necessarily chosen. For workers that see to configurations. */
export interface HeldRegister {
  address: Address;
  image: StateImage;
  committed: boolean;
}

export interface RegisterService {
  /** Every register with an accepted state here, in the order of addresses. */
  held(): AsyncIterable<HeldRegister>;
  /**
   * Gives up the record of a register that is agreed to have moved on without this store, after asking; a stub stays. Returns
   * whether it did. `hint`: members of a later configuration, where known.
   */
  retire(address: Address, hint?: readonly Member[]): Promise<boolean>;
  /** Drops stubs that have stood long enough, and registers deleted long ago everywhere; returns how many (2.3 rule 4, 2.7). */
  forget(): Promise<number>;
  /**
   * Writes a record that has rotted anew from memory, if it is there still: `mended`. Else what is proposed above all that it can
   * have promised brings another: `settle` when a ballot of now is, `later` when not yet.
   */
  mend(address: Address): Promise<'mended' | 'settle' | 'later'>;
  /** Asks nobody any more. */
  stop(): void;
}

/** Registers the handlers; call once a node. */
export function serveRegisters(options: RegisterServiceOptions): RegisterService {
  const store = new RegisterStore(options);
  options.peers.serve(registerBatch, ({ calls }, { from }) => store.batch(calls, from));
  return store;
}

class RegisterStore implements RegisterService {
  private readonly options: RegisterServiceOptions;
  private readonly verifier: StateVerifier;
  private readonly gate = new KeyGate();
  private readonly records: Records;
  private readonly confirmations: Confirmations;
  private readonly settlements: Settlements;
  private readonly retirement: Retirement;
  private readonly floor: Floor;
  /** Registers said to have moved on, to be asked about. */
  private readonly moves = new Map<string, { address: Address; hint: readonly Member[] }>();
  private moving = false;
  private readonly lost: LostMembers;
  private stopped = false;

  constructor(options: RegisterServiceOptions) {
    this.options = options;
    this.verifier = new StateVerifier(options.networkId);
    this.records = new Records({ ...options, now: () => options.runtime.clock.now() });
    this.confirmations = new Confirmations(options, (address, hint) => void this.mark(address, hint));
    this.settlements = new Settlements(options, this.verifier);
    this.retirement = new Retirement(options, this.verifier);
    this.floor = new Floor(options.silo);
    this.lost = new LostMembers(options);
  }

  stop(): void {
    this.stopped = true;
    this.moves.clear();
    this.confirmations.stop();
  }

  async batch(calls: readonly RegisterCall[], from: PeerIdentity): Promise<{ store: Bytes; replies: WireReply[] }> {
    return await this.gate.run(
      calls.map(({ address }) => toHex(address)),
      async () => {
        await Promise.all([this.floor.load(), this.records.load()]);
        const records = await this.load(calls);
        const { replies, changes } = this.steps(calls, records, from);
        await this.records.persist(changes);
        return { store: this.options.member().store, replies };
      },
    );
  }

  async *held(): AsyncIterable<HeldRegister> {
    for await (const address of this.options.silo.list('register')) {
      const record = await this.records.current(address);
      if (record?.accepted) yield { address, image: record.accepted.image, committed: isCommitted(record) };
    }
  }

  async retire(address: Address, hint: readonly Member[] = []): Promise<boolean> {
    const held = (await this.records.current(address))?.accepted;
    const moved = held && (await this.retirement.successor(address, held, hint));
    if (!moved) return false;
    const name = toHex(address);
    return await this.gate.run([name], async () => {
      const record = await this.records.current(address);
      if (!record?.accepted || compareBallots(record.accepted.ballot, held.ballot) !== 0) return false;
      const stub = { ...moved, since: this.options.runtime.clock.now() };
      await this.records.persist(
        new Map([[name, { address, record: retired(record, stub), persist: true, bytes: 0 }]]),
      );
      return true;
    });
  }

  async forget(): Promise<number> {
    let forgotten = 0;
    for await (const address of this.options.silo.list('register')) {
      const record = await this.records.current(address);
      if (record && !this.stopped && (await this.isOver(address, record)) && (await this.drop(address, record)))
        forgotten++;
    }
    return forgotten;
  }

  private async isOver(address: Address, { promised, stub, accepted }: AcceptorRecord): Promise<boolean> {
    const now = this.options.runtime.clock.now();
    const { stubMs, tombstoneMs } = this.options.keep ?? keepDefault;
    if (stub) return now - stub.since > stubMs;
    // Ballots are roughly time: no clock that is not a day wrong uses one at or below the floor this leaves behind.
    if (!accepted?.image.state.value.deleted || now - promised.round < tombstoneMs) return false;
    return await this.retirement.isDeletedEverywhere(address, accepted);
  }

  /** The floor takes the place of what was promised: with the end of the record, or before it, never after. */
  private async drop(address: Address, seen: AcceptorRecord): Promise<boolean> {
    const name = toHex(address);
    return await this.gate.run([name], async () => {
      await this.floor.load();
      const record = await this.records.current(address);
      const isSame = record && compareBallots(record.promised, seen.promised) === 0;
      if (!isSame || (record.stub === undefined) !== (seen.stub === undefined)) return false;
      const end: SiloEntry = { space: 'register', key: address, value: undefined };
      await this.options.silo.batch([this.floor.raise(record.promised), end]);
      this.records.forget(address);
      return true;
    });
  }

  /** Somebody says that the register has moved on: asked about soon, one after another. */
  private noteMove(address: Address, hint: readonly Member[]): void {
    if (this.stopped || this.moves.size >= limits.retirementsMax) return;
    this.moves.set(toHex(address), { address, hint });
    if (this.moving) return;
    this.moving = true;
    void this.workOffMoves().finally(() => {
      this.moving = false;
    });
  }

  private async workOffMoves(): Promise<void> {
    for (;;) {
      const [next] = this.moves;
      if (next === undefined) return;
      const [name, { address, hint }] = next;
      this.moves.delete(name);
      await this.retire(address, hint).catch((error: unknown) => {
        if (!isError(error)) throw error; // the record stays, and is looked at again by the worker
      });
    }
  }

  async mend(address: Address): Promise<'mended' | 'settle' | 'later'> {
    const name = toHex(address);
    return await this.gate.run([name], async () => {
      await this.records.load();
      const record = this.records.remembered(address);
      if (!record) return this.records.highestPromise.round < this.options.runtime.clock.now() ? 'settle' : 'later';
      await this.records.persist(new Map([[name, { address, record, persist: true, bytes: 0 }]]));
      return 'mended';
    });
  }

  private async load(calls: readonly RegisterCall[]): Promise<Map<string, AcceptorRecord | Error | undefined>> {
    const records = new Map<string, AcceptorRecord | Error | undefined>();
    for (const { address } of calls) {
      const name = toHex(address);
      if (records.has(name)) continue;
      const found = await this.records.find(address);
      records.set(name, found);
      if (isError(found, 'corrupt')) this.options.rotten?.(address);
    }
    return records;
  }

  /** Steps one call after another until what they change or answer is too much for one batch. */
  private steps(
    calls: readonly RegisterCall[],
    records: Map<string, AcceptorRecord | Error | undefined>,
    from: PeerIdentity,
  ): { replies: WireReply[]; changes: Map<string, RecordChange> } {
    const replies: WireReply[] = [];
    const changes = new Map<string, RecordChange>();
    let answered = 0;
    let changed = 0;
    for (const call of calls) {
      const name = toHex(call.address);
      const found = records.get(name);
      if (found instanceof Error && !this.mayReplace(found, call)) {
        const reason = `the record here is unreadable: ${found.message}`;
        replies.push({ type: 'denied', ...forGood(reason), passing: true });
        continue;
      }
      const record = found instanceof Error ? undefined : found;
      const { reply, after, persist } = this.step(call, record, from);
      answered += 'entry' in reply ? (reply.entry?.state?.length ?? 0) : 0;
      changed += persist ? (after?.accepted?.image.bytes.length ?? 0) : 0;
      if (replies.length > 0 && Math.max(answered, changed) > limits.registerBatchBytesMax) break;
      replies.push(reply);
      if (!after || after === record) continue;
      records.set(name, after);
      const bytes = after.accepted?.image.bytes.length ?? 0;
      const before = changes.get(name)?.persist ?? false;
      changes.set(name, { address: call.address, record: after, persist: persist || before, bytes });
    }
    return { replies, changes };
  }

  /**
   * A record that has rotted stands until another takes its place, and its register is as on a lost disk until then: nothing is
   * promised, and only what stands above every promise ever given here is accepted. Its proposer has heard a quorum without this store.
   */
  private mayReplace(unreadable: Error, { message }: RegisterCall): boolean {
    if (!isError(unreadable, 'corrupt') || message.type !== 'accept') return false;
    return compareBallots(message.ballot, this.records.highestPromise) > 0;
  }

  private step(
    call: RegisterCall,
    record: AcceptorRecord | undefined,
    from: PeerIdentity,
  ): { reply: WireReply; after: AcceptorRecord | undefined; persist: boolean } {
    if (call.message.type !== 'read' && !from.rights.write && !from.rights.storage)
      return {
        reply: { type: 'denied', ...forGood('a read-only passport proposes nothing') },
        after: record,
        persist: false,
      };
    if (call.message.type === 'read' && record?.accepted)
      this.lost.asked(call.address, record.accepted.image.state, from);
    try {
      const message = messageFromWire(call.address, call.message, (bytes) => readImage(this.options.networkId, bytes));
      const step =
        this.check(call.address, record, message) ??
        acceptorStep(record, message, this.context(call.address, record, from));
      const known = 'known' in message ? message.known : undefined;
      return { reply: replyToWire(step.reply, known), after: step.record, persist: step.persist };
    } catch (error) {
      return { reply: { type: 'denied', ...forGood(asError(error).message) }, after: record, persist: false };
    }
  }

  /** What stands between a message and its step: hints are looked into first, and values that a hint speaks against. */
  private check(address: Address, record: AcceptorRecord | undefined, message: Message): AcceptorStep | undefined {
    const held = record?.accepted;
    if (!held) return undefined;
    const answer = (reply: AcceptorStep['reply']): AcceptorStep => ({ record, persist: false, reply });
    if (message.type === 'commit') {
      const isHeld = compareBallots(held.ballot, message.ballot) === 0 && equalBytes(held.image.hash, message.hash);
      return isHeld && this.confirmations.claim(address, held) ? undefined : answer({ type: 'noted' });
    }
    if (message.type === 'retire') {
      this.noteMove(address, message.current);
      return undefined;
    }
    if (message.type !== 'accept' || isRecovered(held.image, message.image)) return undefined;
    if (outdated(committedBy(held), message.image) === undefined) return undefined;
    if (!this.confirmations.isOpen(address, held.ballot)) return undefined;
    return answer({ type: 'denied', ...forGood('a later version is said to be chosen') });
  }

  /** What is proved to be chosen, if it is still held. */
  private async mark(address: Address, hint: CommitHint): Promise<void> {
    const name = toHex(address);
    await this.gate.run([name], async () => {
      const record = await this.records.current(address);
      const context = this.context(address, record, this.options.peers.self);
      const marked = acceptorStep(record, { type: 'commit', ...hint }, context).record;
      if (marked) await this.records.persist(new Map([[name, { address, record: marked, persist: false, bytes: 0 }]]));
    });
  }

  private context(address: Address, record: AcceptorRecord | undefined, proposer: PeerIdentity): AcceptorContext {
    const { authors } = this.options;
    return {
      self: this.options.member(),
      now: this.options.runtime.clock.now(),
      floor: this.floor.current,
      refuse: (image, held) =>
        forGood(this.refuse(image, held)) ??
        refuseConfiguration(image, held, proposer, authors) ??
        forGood(this.refuseLoss(address, image, record)),
    };
  }

  /** Rule 2.8: signatures always, rights for what is new here. A value once agreed outlives its author's passport. */
  private refuse(image: StateImage, { image: held }: Partial<Entry> = {}): string | undefined {
    try {
      this.verifier.verify(image);
    } catch (error) {
      return asError(error).message;
    }
    const { authors } = this.options;
    const { config, value, genesis } = image.state;
    if (held && isRecovered(image, held)) return 'the owner has recovered the register since';
    const isFirst = config.generation === recoveredAt(image.state);
    if (isFirst && (config.previous || !sameMembers(config.current, genesis.members)))
      return 'the first configuration is not the one the owner signed';
    if (isRecovery(image)) return undefined;
    const isGenesis = config.generation === 0 && value.version === 1;
    const isNew = held ? !equalBytes(held.valueHash, image.valueHash) : isGenesis;
    if (isNew && !authors.mayWrite(value.author, value.passportHash))
      return 'the passport of the author does not allow it';
    return isNew ? authors.refuseValue?.(image, held) : undefined;
  }

  /** What nobody may take away stays, unless it was never agreed on and never will be. */
  private refuseLoss(address: Address, image: StateImage, record: AcceptorRecord | undefined): string | undefined {
    const held = record?.accepted;
    if (!held || isRecovered(held.image, image) || equalBytes(held.image.valueHash, image.valueHash)) return undefined;
    const losses = this.options.authors.losses?.(image, held.image) ?? [];
    const rights = accessLoss(image, held.image);
    if (rights) losses.push(rights);
    const standing = losses.find(({ standsIn }) => this.settlements.mayStand(address, held, record.promised, standsIn));
    return standing?.reason;
  }
}
