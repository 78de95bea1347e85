// The client side of registers: `Registers` over an overlay and peers. Reads take one round trip, so do repeated writes;
// concurrent writes of the process share messages, flushes and signatures. Every outcome that can be settled is settled.

import { type Bytes, equalBytes, toHex } from '../../base/bytes.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { type Abortable, KeyedMutex } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import {
  type Address,
  type Member,
  memberName,
  registerAddress,
  sameMember,
  sameMembers,
} from '../../block/address.ts';
import type { AccessList, RegisterState, UnsignedAccess } from '../../block/register.ts';
import {
  imageOf,
  registerValueHash,
  type StateImage,
  StateVerifier,
  signAccessList,
  signGenesis,
  signRecovery,
} from '../../block/register-validity.ts';
import type { KeyPair } from '../../crypto/keys.ts';
import type { Overlay } from '../../overlay/overlay.ts';
import type { Peers } from '../../peer/peer.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Lagging, NewAccess, NewRegister, RegisterOptions, RegisterSnapshot, Registers } from '../consensus.ts';
import { Agreement, type Found, Patience, type Reached } from './agreement.ts';
import { BatchSigner } from './batch-signer.ts';
import { Conversation } from './conversation.ts';
import { Courier } from './courier.ts';
import { Founding, type Survey } from './founding.ts';
import { type Place, Places } from './places.ts';
import { enterJoint, leaveJoint, votersOf } from './quorum.ts';
import { checkSeen, type SeenVersion, type SeenVersions, seenOf } from './seen-versions.ts';
import { snapshotOf } from './snapshot.ts';
import { type Change, type Draft, type SignedValue, Write } from './write.ts';

export interface RegisterClientOptions {
  runtime: Runtime;
  peers: Peers;
  overlay: Overlay;
  networkId: Bytes;
  seen: SeenVersions;
  /** Members a register is meant to have: how far to look for one. */
  replicas: number;
}

/** Registers that hold messages back for a moment: close them before the peers. */
export type RegisterClient = Registers & Recovering & { close(): Promise<void> };

/** The owner's last resort (docs/protocols.md 2.11). */
export interface Recovering {
  /** What is left of a register; takes seconds when members do not answer. */
  survey(address: Address, options?: Abortable): Promise<Survey>;
  /**
   * Begins anew with the newest copy found, at those that hold one, and nobody else. What others knew is lost; should they come
   * back, they have no say. Throws `denied` unless the register is the owner's, `conflict` when a majority is there, `not-found`.
   */
  recover(
    survey: Survey,
    owner: KeyPair,
    change: (payload: Bytes) => Bytes,
    options?: RegisterOptions,
  ): Promise<RegisterSnapshot>;
}

export function createRegisters(options: RegisterClientOptions): RegisterClient {
  return new Client(options);
}

interface Operation {
  place: Place;
  patience: Patience;
  /** As it was when the operation began: nothing older may be shown to it. */
  seen: SeenVersion | undefined;
}

class Client implements RegisterClient {
  private readonly options: RegisterClientOptions;
  private readonly locks = new KeyedMutex();
  private readonly places: Places;
  private readonly courier: Courier;
  private readonly signer: BatchSigner;
  private readonly conversation: Conversation;
  private readonly agreement: Agreement;
  private readonly founding: Founding;

  constructor(options: RegisterClientOptions) {
    const { runtime, overlay, replicas, networkId } = options;
    this.options = options;
    this.places = new Places(runtime, overlay, replicas);
    this.courier = new Courier(options);
    this.signer = new BatchSigner(runtime.clock);
    const verifier = new StateVerifier(networkId);
    this.conversation = new Conversation(runtime, this.courier, verifier);
    const { places, conversation, courier } = this;
    this.agreement = new Agreement({ runtime, places, conversation, courier });
    const { agreement } = this;
    this.founding = new Founding({ runtime, overlay, conversation, courier, agreement, verifier });
  }

  async create(request: NewRegister, options?: RegisterOptions): Promise<RegisterSnapshot> {
    const { owner, salt, payload } = request;
    const operation = await this.begin(registerAddress(owner.publicKey, salt), options);
    const { place } = operation;
    const access = signAccessList(owner, this.options.networkId, place.address, request.access);
    const draft = { version: 1, lineage: [], aclVersion: access.version, payload, deleted: false };
    const value = await this.signed(place.address, owner, draft, access);
    const genesis = signGenesis(owner, this.options.networkId, salt, request.members);
    const config = { generation: 0, current: genesis.members, previous: undefined };
    const image = this.image(place.address, { config, access, genesis, value: value.value });
    value.done();
    return await this.locks.run(toHex(place.address), () => this.found(operation, image));
  }

  async read(address: Address, options?: RegisterOptions): Promise<RegisterSnapshot> {
    const operation = await this.begin(address, options);
    const { image } = await this.readAgreed(operation);
    return this.observe(operation, image);
  }

  async write(
    address: Address,
    author: KeyPair,
    change: (current: RegisterSnapshot) => Bytes,
    options?: RegisterOptions,
  ): Promise<RegisterSnapshot> {
    const payloadOf: Change = (current) => ({ payload: change(current), deleted: false });
    return await this.change(address, author, payloadOf, options);
  }

  async share(
    address: Address,
    owner: KeyPair,
    change: (current: RegisterSnapshot) => { payload: Bytes; access: NewAccess },
    options?: RegisterOptions,
  ): Promise<RegisterSnapshot> {
    return await this.change(address, owner, (current) => ({ ...change(current), deleted: false }), options);
  }

  async delete(address: Address, author: KeyPair, options?: RegisterOptions): Promise<void> {
    await this.change(address, author, () => ({ payload: Buffer.alloc(0), deleted: true }), options);
  }

  async reconfigure(
    address: Address,
    members: readonly Member[],
    options?: RegisterOptions,
  ): Promise<RegisterSnapshot> {
    if (members.length === 0 || members.length > limits.membersMax)
      throw new InfinitError('usage', `a register has 1 to ${limits.membersMax} members`);
    const operation = await this.begin(address, options);
    const agreed = await this.readAgreed(operation);
    if (isAt(agreed, members)) return this.observe(operation, agreed.image);
    const before = new Map<string, Member>();
    return await this.locks.run(toHex(address), async () => {
      // Out of a change somebody else left half done, into ours, out of ours, and once in the new configuration alone: only
      // then do the old members no longer count.
      while (true) {
        const reached = await this.agreement.reach(
          operation.place,
          operation.patience,
          async ({ image: found, settled }) => {
            const { config } = found.state;
            for (const member of votersOf(config)) before.set(memberName(member), member);
            if (!settled || config.previous || sameMembers(config.current, members)) return this.settled(found);
            return this.image(address, { ...found.state, config: enterJoint(config, members) });
          },
        );
        if (!isAt(reached, members)) continue;
        this.sayMoved(reached.image, [...before.values()]);
        return this.observe(operation, reached.image);
      }
    });
  }

  survey(address: Address, { signal }: Abortable = {}): Promise<Survey> {
    return this.founding.survey(address, signal);
  }

  async recover(
    { newest, holders, missing, isLost }: Survey,
    owner: KeyPair,
    change: (payload: Bytes) => Bytes,
    options?: RegisterOptions,
  ): Promise<RegisterSnapshot> {
    if (!newest || holders.length === 0) throw new InfinitError('not-found', 'no copy of the register is left');
    if (!isLost) throw new InfinitError('conflict', 'a majority of the members of the register is there');
    const { address, state } = newest.image;
    if (!equalBytes(state.access.owner, owner.publicKey))
      throw new InfinitError('denied', 'only its owner can recover a register');
    const operation = await this.begin(address, options);
    const { value, hash: valueHash, done } = await this.continued(newest.image, owner, change(state.value.payload));
    const generation = state.config.generation + limits.recoveryGenerations;
    const recovery = { generation, valueHash, lost: [...missing] };
    const genesis = signRecovery(owner, this.options.networkId, state.genesis.salt, holders, recovery);
    const config = { generation, current: genesis.members, previous: undefined };
    const image = this.image(address, { ...state, config, genesis, value });
    done();
    return await this.locks.run(toHex(address), () => this.found(operation, image));
  }

  /** The value as it is, or the owner's own with another payload. */
  private async continued({ address, state, valueHash }: StateImage, owner: KeyPair, payload: Bytes) {
    const { value, access } = state;
    if (equalBytes(payload, value.payload)) return { value, hash: valueHash, done: () => {} };
    const lineage = [valueHash, ...value.lineage].slice(0, limits.lineageMax);
    const draft = { version: value.version + 1, lineage, aclVersion: access.version, payload, deleted: value.deleted };
    return this.signed(address, owner, draft, access);
  }

  async settle(address: Address, options?: RegisterOptions): Promise<RegisterSnapshot> {
    const operation = await this.begin(address, options);
    const { image } = await this.locks.run(toHex(address), () =>
      this.agreement.reach(operation.place, operation.patience, async ({ image: found }) => this.settled(found)),
    );
    return this.observe(operation, image);
  }

  async lagging({ address, members, generation, version }: RegisterSnapshot): Promise<Lagging> {
    const known = this.places.of(address).latest;
    const behind: Member[] = [];
    const silent: Member[] = [];
    const ask = async (member: Member) => {
      const state = (await this.conversation.held(address, member, known))?.image.state;
      if (!state || state.value.version < version || state.config.generation < generation) behind.push(member);
    };
    await Promise.all(members.map((member) => ask(member).catch(() => silent.push(member))));
    return { behind, silent };
  }

  /** To those who are no members any more; who does not hear it finds out by himself. */
  private sayMoved({ address, state }: StateImage, before: readonly Member[]): void {
    const { generation, current } = state.config;
    const gone = before.filter((member) => !current.some((other) => sameMember(other, member)));
    const retained = new Set(current.map(({ node }) => toHex(node)));
    for (const { node } of gone)
      if (!retained.has(toHex(node))) this.courier.later(node, address, { type: 'retire', generation, current });
  }

  async close(): Promise<void> {
    this.courier.close();
    await this.options.seen.close();
  }

  private async begin(address: Address, options?: RegisterOptions): Promise<Operation> {
    const patience = new Patience(this.options.runtime, options);
    return { place: this.places.of(address), patience, seen: await this.options.seen.get(address) };
  }

  /** Throws `corrupt` when the state is older than, or no descendant of, what this device saw before. */
  private observe({ seen }: Operation, image: StateImage): RegisterSnapshot {
    if (checkSeen(seen, image)) {
      const facts = { register: toHex(image.address), version: image.state.value.version };
      const message = 'its owner has recovered a register: what was written last may be missing';
      this.options.runtime.log.write('warn', 'register', message, facts);
    }
    this.options.seen.put(image.address, seenOf(image));
    return snapshotOf(image);
  }

  private image(address: Address, state: RegisterState): StateImage {
    return imageOf(this.options.networkId, address, state);
  }

  /** The same value in the simple configuration: what a read, or a write with nothing to say, agrees on. */
  private settled(found: StateImage): StateImage {
    const { config } = found.state;
    return config.previous ? this.image(found.address, { ...found.state, config: leaveJoint(config) }) : found;
  }

  private async readAgreed({ place, patience }: Operation): Promise<Reached> {
    const { rights } = this.options.peers.self;
    for (let undecided = 0; ; ) {
      const nodes = await this.places.nodes(place, patience.hint, patience.tries);
      const { agreed, reports } = await this.conversation.read(place.address, nodes, place.latest);
      if (agreed) {
        place.learn(agreed.image);
        return agreed;
      }
      // Once more before writing: most often somebody's write is about to be chosen.
      if (reports.length > 0 && ++undecided > 1 && (rights.write || rights.storage)) {
        const reached = await this.finish(place, patience);
        if (reached) return reached;
      }
      await patience.again('none', reports.length > 0 ? 'a register is not agreed' : 'no member of a register answers');
    }
  }

  /** Agrees on what was found; undefined when that is a change of members which only those it concerns may finish. */
  private async finish(place: Place, patience: Patience): Promise<Reached | undefined> {
    let isJoint = false;
    const build = async ({ image: found }: Found) => {
      isJoint = found.state.config.previous !== undefined;
      return this.settled(found);
    };
    try {
      return await this.locks.run(toHex(place.address), () => this.agreement.reach(place, patience, build));
    } catch (error) {
      if (isJoint && isError(error, 'denied')) return undefined;
      throw error;
    }
  }

  private async found(operation: Operation, image: StateImage): Promise<RegisterSnapshot> {
    if (await this.founding.found(operation.place, operation.patience, image)) return this.observe(operation, image);
    return this.observe(operation, (await this.readAgreed(operation)).image);
  }

  private async change(
    address: Address,
    author: KeyPair,
    change: Change,
    options?: RegisterOptions,
  ): Promise<RegisterSnapshot> {
    return await this.locks.run(toHex(address), async () => {
      const operation = await this.begin(address, options);
      const write = new Write(author, change);
      try {
        const { image } = await this.agreement.reach(
          operation.place,
          operation.patience,
          async ({ image: found, chosen }) => {
            write.release();
            const signed = await write.on(found, chosen, (draft, access) =>
              this.signed(address, author, draft, access),
            );
            if (!signed) return this.settled(found);
            const { value, access } = signed;
            return this.image(address, { ...found.state, config: leaveJoint(found.state.config), access, value });
          },
        );
        const snapshot = this.observe(operation, image);
        if (write.failure) throw write.failure.error;
        return snapshot;
      } finally {
        write.release();
      }
    });
  }

  private async signed(
    address: Address,
    author: KeyPair,
    draft: Draft,
    access: UnsignedAccess | AccessList,
  ): Promise<SignedValue> {
    const { networkId, peers } = this.options;
    const unsigned = { ...draft, author: author.publicKey, passportHash: peers.self.passportHash };
    const listed = 'signature' in access ? access : signAccessList(author, networkId, address, access);
    const hash = registerValueHash(networkId, address, unsigned, listed);
    const { proof, done } = await this.signer.sign(author, hash);
    return { value: { ...unsigned, signature: proof }, access: listed, hash, done };
  }
}

/** Whether the register has these members, and the ones before do not count any more. */
function isAt({ image, from }: Reached, members: readonly Member[]): boolean {
  const { config } = image.state;
  return from.generation === config.generation && !config.previous && sameMembers(config.current, members);
}
