// A store's side of registers: serves `reg.batch`, keeps acceptor records in a silo. Messages for one register are handled one
// after another; everything a batch changes is made durable by one silo batch before anything is answered (G6).

import { type Bytes, equalBytes, toHex } from '../../base/bytes.ts';
import { asError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { type Address, memberName, sameMembers } from '../../block/address.ts';
import { type AuthorCheck, readImage, type StateImage, StateVerifier } from '../../block/register-validity.ts';
import type { PeerIdentity } from '../../peer/peer.ts';
import type { Silo, SiloEntry } from '../../silo/silo.ts';
import { KeyGate } from '../key-gate.ts';
import {
  type AcceptorContext,
  type AcceptorRecord,
  type AcceptorStep,
  acceptorStep,
  committedBy,
  isCommitted,
  outdated,
} from './acceptor.ts';
import { compareBallots, zeroBallot } from './ballot.ts';
import { Confirmations } from './confirmation.ts';
import type { InquiryParts } from './inquiry.ts';
import {
  type CommitHint,
  type Entry,
  type Message,
  type RegisterCall,
  registerBatch,
  type WireReply,
} from './messages.ts';
import { votersOf } from './quorum.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import { Settlements } from './settlement.ts';
import { messageFromWire, replyToWire } from './wire.ts';

export interface RegisterServiceOptions extends InquiryParts {
  silo: Silo;
  authors: AuthorCheck;
}

/** One register as this store holds it; not necessarily chosen. For workers that see to configurations. */
export interface HeldRegister {
  address: Address;
  image: StateImage;
  committed: boolean;
}

export interface RegisterService {
  /** Every register with an accepted state here, in the order of addresses. */
  held(): AsyncIterable<HeldRegister>;
  /** Asks nobody any more. */
  stop(): void;
}

/** Registers the handlers; call once a node. */
export function serveRegisters(options: RegisterServiceOptions): RegisterService {
  const store = new RegisterStore(options);
  options.peers.serve(registerBatch, ({ calls }, { from }) => store.batch(calls, from));
  return store;
}

interface Change {
  address: Address;
  record: AcceptorRecord;
  persist: boolean;
  bytes: number;
}

class RegisterStore implements RegisterService {
  private readonly options: RegisterServiceOptions;
  private readonly verifier: StateVerifier;
  private readonly gate = new KeyGate();
  /** Records as they are on the silo (but for commit marks), least recently used first. */
  private readonly cache = new Map<string, AcceptorRecord>();
  private readonly confirmations: Confirmations;
  private readonly settlements: Settlements;

  constructor(options: RegisterServiceOptions) {
    this.options = options;
    this.verifier = new StateVerifier(options.networkId);
    this.confirmations = new Confirmations(options, (address, hint) => void this.mark(address, hint));
    this.settlements = new Settlements(options, this.verifier);
  }

  stop(): void {
    this.confirmations.stop();
  }

  async batch(calls: readonly RegisterCall[], from: PeerIdentity): Promise<{ store: Bytes; replies: WireReply[] }> {
    return await this.gate.run(
      calls.map(({ address }) => toHex(address)),
      async () => {
        const records = await this.load(calls);
        const { replies, changes } = this.steps(calls, records, from);
        await this.persist(changes);
        return { store: this.options.member().store, replies };
      },
    );
  }

  async *held(): AsyncIterable<HeldRegister> {
    for await (const address of this.options.silo.list('register')) {
      const record = this.cache.get(toHex(address)) ?? (await this.record(address).catch(() => undefined));
      if (record?.accepted) yield { address, image: record.accepted.image, committed: isCommitted(record) };
    }
  }

  private async load(calls: readonly RegisterCall[]): Promise<Map<string, AcceptorRecord | Error | undefined>> {
    const records = new Map<string, AcceptorRecord | Error | undefined>();
    for (const { address } of calls) {
      const name = toHex(address);
      if (records.has(name)) continue;
      records.set(name, this.cache.get(name) ?? (await this.record(address).catch(asError)));
    }
    return records;
  }

  private async record(address: Address): Promise<AcceptorRecord | undefined> {
    try {
      return decodeRecord(this.options.networkId, await this.options.silo.get('register', address));
    } catch (error) {
      if (isError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** Steps one call after another until what they change or answer is too much for one batch. */
  private steps(
    calls: readonly RegisterCall[],
    records: Map<string, AcceptorRecord | Error | undefined>,
    from: PeerIdentity,
  ): { replies: WireReply[]; changes: Map<string, Change> } {
    const replies: WireReply[] = [];
    const changes = new Map<string, Change>();
    let answered = 0;
    let changed = 0;
    for (const call of calls) {
      const name = toHex(call.address);
      const record = records.get(name);
      if (record instanceof Error) {
        replies.push({ type: 'denied', reason: `the record here is unreadable: ${record.message}`.slice(0, 80) });
        continue;
      }
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

  private step(
    call: RegisterCall,
    record: AcceptorRecord | undefined,
    from: PeerIdentity,
  ): { reply: WireReply; after: AcceptorRecord | undefined; persist: boolean } {
    if (call.message.type !== 'read' && !from.rights.write && !from.rights.storage)
      return {
        reply: { type: 'denied', reason: 'a read-only passport proposes nothing' },
        after: record,
        persist: false,
      };
    try {
      const message = messageFromWire(call.address, call.message, (bytes) => readImage(this.options.networkId, bytes));
      const step =
        this.check(call.address, record, message) ?? acceptorStep(record, message, this.context(call.address, record));
      const known = 'known' in message ? message.known : undefined;
      return { reply: replyToWire(step.reply, known), after: step.record, persist: step.persist };
    } catch (error) {
      return { reply: { type: 'denied', reason: asError(error).message.slice(0, 80) }, after: record, persist: false };
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
    if (message.type !== 'accept' || outdated(committedBy(held), message.image) === undefined) return undefined;
    if (!this.confirmations.isOpen(address, held.ballot)) return undefined;
    return answer({ type: 'denied', reason: 'a later version is said to be chosen' });
  }

  /** What is proved to be chosen, if it is still held. */
  private async mark(address: Address, hint: CommitHint): Promise<void> {
    const name = toHex(address);
    await this.gate.run([name], async () => {
      const record = this.cache.get(name) ?? (await this.record(address).catch(() => undefined));
      const marked = acceptorStep(record, { type: 'commit', ...hint }, this.context(address, record)).record;
      if (marked) await this.persist(new Map([[name, { address, record: marked, persist: false, bytes: 0 }]]));
    });
  }

  private context(address: Address, record: AcceptorRecord | undefined): AcceptorContext {
    return {
      self: this.options.member(),
      now: this.options.runtime.clock.now(),
      floor: zeroBallot,
      refuse: (image, held) => this.refuse(image, held) ?? this.refuseLoss(address, image, record),
    };
  }

  /** Rule 2.8: signatures always, rights for what is new here. A value once agreed outlives its author's passport. */
  private refuse(image: StateImage, { image: held }: Partial<Entry> = {}): string | undefined {
    try {
      this.verifier.verify(image);
    } catch (error) {
      return asError(error).message.slice(0, 80);
    }
    const { authors } = this.options;
    const { config, value, genesis } = image.state;
    const isGenesis = config.generation === 0 && value.version === 1;
    if (config.generation === 0 && !sameMembers(config.current, genesis.members))
      return 'the first configuration is not the one the owner signed';
    const isNew = held ? !equalBytes(held.valueHash, image.valueHash) : isGenesis;
    if (isNew && !authors.mayWrite(value.author, value.passportHash))
      return 'the passport of the author does not allow it';
    const reason = isNew ? authors.refuseValue?.(image, held) : undefined;
    if (reason !== undefined) return reason.slice(0, 80);
    if (!held || config.generation <= held.state.config.generation) return undefined;
    const before = new Set(votersOf(held.state.config).map(memberName));
    for (const member of config.current)
      if (!before.has(memberName(member)) && !authors.mayStore(member.node, image.address))
        return 'a new member is not known here as a storage node';
    return undefined;
  }

  /** What nobody may take away stays, unless it was never agreed on and never will be. */
  private refuseLoss(address: Address, image: StateImage, record: AcceptorRecord | undefined): string | undefined {
    const held = record?.accepted;
    if (!held || equalBytes(held.image.valueHash, image.valueHash)) return undefined;
    const losses = this.options.authors.losses?.(image, held.image) ?? [];
    const standing = losses.find(({ standsIn }) => this.settlements.mayStand(address, held, record.promised, standsIn));
    return standing?.reason.slice(0, 80);
  }

  private async persist(changes: ReadonlyMap<string, Change>): Promise<void> {
    const entries: SiloEntry[] = [];
    for (const { address, record, persist } of changes.values())
      if (persist) entries.push({ space: 'register', key: address, value: encodeRecord(record) });
    if (entries.length > 0) await this.options.silo.batch(entries);
    for (const [name, { record }] of changes) {
      this.cache.delete(name);
      this.cache.set(name, record);
    }
    for (const name of this.cache.keys()) {
      if (this.cache.size <= limits.registerRecordsCachedMax) break;
      this.cache.delete(name);
    }
  }
}
