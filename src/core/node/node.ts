// A node, assembled: every part named once and wired. The same function makes nodes of the operating system and of the simulator,
// storage nodes and clients; only the runtime and what is handed in differ.

import { type Bytes, equalBytes, fromBase64 } from '../base/bytes.ts';
import type { InfinitError } from '../base/errors.ts';
import { type Abortable, deferred } from '../base/lifecycle.ts';
import { type Address, type Member, networkIdOf } from '../block/address.ts';
import { createJournals } from '../consensus/journal/journals.ts';
import { serveJournals } from '../consensus/journal/service.ts';
import { createRegisters, type RegisterClient } from '../consensus/register/client.ts';
import { DatabaseSeenVersions, type SeenVersions } from '../consensus/register/seen-versions.ts';
import { type RegisterService, serveRegisters } from '../consensus/register/service.ts';
import type { KeyPair } from '../crypto/keys.ts';
import type { NetworkDescriptor, PassportDescriptor } from '../descriptor/descriptor.ts';
import { keyFromJson } from '../descriptor/keys.ts';
import { isRevoked } from '../descriptor/rights.ts';
import type { Overlay } from '../overlay/overlay.ts';
import { overlayKind } from '../overlay/registry.ts';
import { createAdmission } from '../peer/admission.ts';
import type { Admission, Peers } from '../peer/peer.ts';
import { closeRefused, createPeers } from '../peer/peers.ts';
import type { Cancel, Endpoint, Runtime } from '../runtime/runtime.ts';
import type { Silo } from '../silo/silo.ts';
import { AbsenceMeter } from '../store/absence.ts';
import { BlockClient } from '../store/block-client.ts';
import type { Unwanted } from '../store/block-service.ts';
import type { Drain } from '../store/drain.ts';
import { NetworkRegister } from '../store/network-register.ts';
import type { Store } from '../store/store.ts';
import { SweepClient } from '../store/sweep-client.ts';
import { Sweeper } from '../store/sweeper.ts';
import { Throttle } from '../store/throttle.ts';
import { Witness } from '../store/witness.ts';
import { Worker } from '../store/worker.ts';
import type { Announcement } from './announcement.ts';
import { type Blocks, serveBlocks } from './blocks.ts';
import { keepMembers } from './members.ts';
import { outdatedBy } from './outdated.ts';
import { PassportBook } from './passport-book.ts';
import { Place } from './place.ts';
import { RegisterWatch, registerPeriodMs } from './register-watch.ts';
import { certifyRecord, SelfRecord } from './self-record.ts';
import type { NodeState } from './state.ts';

export interface NodeOptions {
  runtime: Runtime;
  /** The latest descriptor known to this device. */
  network: NetworkDescriptor;
  user: KeyPair;
  /** The node's own pair, or a client's session pair. */
  node: KeyPair;
  passport: PassportDescriptor;
  state: NodeState;
  /** A storage node keeps this one; a client has none. */
  silo?: Silo | undefined;
  zone?: string | undefined;
  /** Where to listen; undefined: nowhere (founding). Port 0: any. */
  listen?: Endpoint | undefined;
  /** What to tell others of where this node is. */
  announce?: Announcement | undefined;
  /** Whether registers and blocks are brought to new nodes (default), and whether everything is looked at at start (default). */
  rebalancing?: { expand: boolean; inspectAtStart: boolean } | undefined;
  /** Most bytes background work moves a second; undefined: no limit. */
  backgroundRate?: number | undefined;
  /** How long one reading of everything kept takes. */
  scrubPeriodMs?: number | undefined;
  /** A newer descriptor was heard of and verified; kept for the next start. */
  learned?: ((descriptor: NetworkDescriptor) => Promise<void>) | undefined;
  /** Ignores the descriptor's overlay: founding happens before anybody else is there. */
  alone?: boolean | undefined;
}

const workerPeriodMs = 30_000;
const recordPeriodMs = 5_000;
/** Names of parts of a node are many; others appear at once when several nodes start together: look again this soon. */
const growthDelayMs = 200;
/** A member stands within this many times the replicas from its register (docs/protocols.md 2.8). */
const candidateFactor = 4;

/** Everything a running node consists of. */
export class Node {
  readonly runtime: Runtime;
  readonly peers: Peers;
  readonly overlay: Overlay;
  readonly registers: RegisterClient;
  readonly store: Store;
  readonly networkId: Bytes;
  readonly networkRegister: NetworkRegister | undefined;
  readonly options: NodeOptions;
  readonly workers: Worker[] = [];
  /** Not among them where nothing moves by itself; a drain and what is found bad wake them there, too. */
  private movers: readonly Worker[] = [];
  /** Of a storage node. */
  blocks: Blocks | undefined;
  /** Of a storage node: what moves data in the background shares it. */
  throttle: Throttle | undefined;
  /** Leaving for good; of a storage node. */
  drain: Drain | undefined;
  /** Who has been away for how long, as a storage node sees it. */
  readonly absence: AbsenceMeter;
  readonly place: Place;
  private readonly book: PassportBook;
  private readonly admission: Admission;
  private readonly selfRecord: SelfRecord | undefined;
  private readonly seen: SeenVersions;
  private descriptor: NetworkDescriptor;
  private registerService: RegisterService | undefined;
  private watch: RegisterWatch | undefined;
  /** Gives back what destroyed trees took. */
  private rid = async (_roots: readonly Address[]): Promise<void> => {};
  private witness: Witness | undefined;
  private cancelTimer: Cancel = () => {};
  private cancelWake: Cancel = () => {};
  private stopped: Promise<void> | undefined;
  private readonly whenOutdated = deferred<InfinitError>();

  private constructor(options: NodeOptions, selfRecord: SelfRecord | undefined, seen: SeenVersions) {
    const { runtime, node } = options;
    this.options = options;
    this.runtime = runtime;
    this.descriptor = options.network;
    this.selfRecord = selfRecord;
    this.seen = seen;
    this.networkId = networkIdOf(keyFromJson(options.network.owner), options.network.name);
    const network = () => this.descriptor;
    const meet = async (id: Bytes) => void (await this.overlay.peer(id));
    const candidates = candidateFactor * options.network.consensus['replication-factor'];
    const isNear = (address: Bytes, id: Bytes) => this.overlay.isNear(address, id, candidates);
    this.book = new PassportBook({ runtime, state: options.state, network, meet, isNear });
    const admission = createAdmission({
      clock: runtime.clock,
      log: runtime.log,
      network,
      user: options.user,
      node,
      kind: options.silo === undefined ? 'client' : 'storage',
      passport: options.passport,
      revoked: (passport) => isRevoked(this.descriptor, passport),
      admitted: (identity, passport) => this.book.admitted(identity, passport),
    });
    this.admission = admission;
    selfRecord?.certify(() => admission.present());
    this.peers = createPeers({ runtime, identity: node, admission, endpoints: () => this.place.dialled() });
    this.book.serve(this.peers);
    const replicas = options.network.consensus['replication-factor'];
    this.overlay = overlayKind(options.alone ? 'kalimero' : options.network.overlay.type).open({
      runtime,
      peers: this.peers,
      self: () => this.selfRecord?.current(),
      ...(selfRecord === undefined ? {} : { positions: selfRecord.weighing }),
      contacts: options.state,
      certify: (record) => certifyRecord(admission, record),
      replicationFactor: replicas,
    });
    const { peers, overlay, networkId } = this;
    this.place = new Place({
      ...{ runtime, peers, overlay, state: options.state, announce: options.announce },
      isStorage: options.silo !== undefined,
      changed: () => void this.selfRecord?.update({ endpoints: this.endpoints() }),
    });
    const delayMs = () => this.descriptor.consensus['eviction-delay'];
    this.absence = new AbsenceMeter({ runtime, overlay, self: peers.self.id, delayMs, book: options.state });
    this.registers = createRegisters({ runtime, peers, overlay, networkId, seen, replicas });
    this.store = {
      blocks: new BlockClient({ runtime, overlay, replicationFactor: replicas }),
      sweeps: new SweepClient({ runtime, overlay, networkId }),
      registers: this.registers,
      journals: createJournals({ runtime, peers, overlay, networkId }),
    };
    this.networkRegister = this.openNetworkRegister();
    if (options.silo !== undefined) this.serveStorage(options.silo, replicas);
    this.watchRegister();
  }

  /** Makes the parts; nothing runs and nothing is sent before `start`. */
  static async open(options: NodeOptions): Promise<Node> {
    const { runtime, state, node, silo, zone, network } = options;
    const userKey = options.user.publicKey;
    const record =
      silo && (await SelfRecord.open({ runtime, state, node, userKey, silo, zone, overlay: network.overlay.type }));
    const opened = new Node(options, record, await DatabaseSeenVersions.open(state.database, runtime.clock));
    await opened.book.load();
    return opened;
  }

  private openNetworkRegister(): NetworkRegister | undefined {
    const { founding } = this.descriptor;
    if (founding === null) return undefined;
    return new NetworkRegister({
      registers: this.registers,
      address: fromBase64(founding.register),
      founder: { node: fromBase64(founding.node), store: fromBase64(founding.store) },
      networkId: this.networkId,
      owner: keyFromJson(this.descriptor.owner),
    });
  }

  private serveStorage(silo: Silo, replicas: number): void {
    const { runtime, peers, overlay, absence, networkId, book } = this;
    const member = () => this.member(silo);
    const throttle = (this.throttle = new Throttle({
      clock: runtime.clock,
      bytesPerSecond: this.options.backgroundRate,
    }));
    const unwanted: Unwanted = (...block) => sweeper.isGarbage(...block);
    this.blocks = serveBlocks({
      ...{ runtime, peers, overlay, absence, silo, throttle, replicationFactor: replicas },
      leaving: () => this.drain?.isLeaving ?? false,
      unwanted,
      destroyed: (block) => sweeper.isDestroyed(block),
      scrubPeriodMs: this.options.scrubPeriodMs,
    });
    const witness = (this.witness = new Witness({ runtime, peers, overlay, silo, book: this.options.state }));
    const gated = throttle.watching(witness.gated());
    const voting = { runtime, peers: gated, overlay, silo, member, networkId, authors: book };
    const { held, transfer, scrub } = this.blocks;
    const rotten = (address: Bytes) => scrub.met('register', address);
    const service = (this.registerService = serveRegisters({ ...voting, rotten }));
    const journals = serveJournals(voting);
    const sweeper = new Sweeper({ clock: runtime.clock, networkId, held, silo, registers: this.registers });
    const sweeping = new Worker(sweeper, runtime, workerPeriodMs, throttle);
    sweeper.serve(peers, () => sweeping.wake());
    this.workers.push(...this.blocks.lookers, sweeping);
    const { registers } = this;
    const announce = (is: boolean) => void this.selfRecord?.update({ leaving: is });
    const parts = {
      runtime,
      peers,
      networkId,
      self: member,
      overlay,
      absence,
      service,
      journals,
      registers,
      held,
      scrub,
      announce,
    };
    const members = keepMembers({ ...parts, transfer, unwanted, replicationFactor: replicas });
    this.drain = members.drain;
    this.rid = async (roots) => {
      await sweeper.destroyed(roots);
      members.destroyed(roots);
    };
    this.movers = [...members.workers, ...this.blocks.movers];
    if (this.options.rebalancing?.expand !== false) this.workers.push(...this.movers);
  }

  private watchRegister(): void {
    const register = this.networkRegister;
    if (register === undefined || this.options.alone) return;
    const learned = async (descriptor: NetworkDescriptor) => {
      this.descriptor = descriptor;
      closeRefused(this.peers, this.admission);
      await this.options.learned?.(descriptor);
      const outdated = outdatedBy(this.options.network, descriptor);
      if (outdated !== undefined) this.whenOutdated.resolve(outdated);
    };
    const { runtime, peers, overlay, networkId } = this;
    const { user } = this.options;
    this.watch = new RegisterWatch({
      ...{ runtime, peers, overlay, networkId, register, user, learned },
      current: () => this.descriptor,
      destroyed: (roots) => this.rid(roots),
    });
    this.workers.push(this.watch.worker);
  }

  /** Resolves when this process cannot go on with what it learned of the network, with the reason. */
  get outdated(): Promise<InfinitError> {
    return this.whenOutdated.promise;
  }

  /** Once the tree with that root is destroyed, this process cannot go on. */
  dependsOn(root: Address, reason: InfinitError): void {
    this.watch?.events.on('destroyed', (gone) => {
      if (equalBytes(gone, root)) this.whenOutdated.resolve(reason);
    });
  }

  /** The owner's device: brings its descriptor into the network and tells the nodes to look; how many heard it. */
  async publishDescriptor(options: Abortable = {}): Promise<number> {
    return (await this.watch?.publish(options)) ?? 0;
  }

  private member(silo: Silo): Member {
    return { node: this.peers.self.id, store: silo.storeId };
  }

  /** This node as a member; undefined for a client. */
  self(): Member | undefined {
    return this.options.silo && this.member(this.options.silo);
  }

  /** Registers this node keeps: how many members each has, and how many of them are there. */
  async *heldRegisters(): AsyncIterable<{ members: number; reachable: number; joint: boolean }> {
    if (this.registerService === undefined) return;
    const isHere = (id: Bytes) => equalBytes(id, this.peers.self.id) || this.overlay.liveness(id) === 'alive';
    for await (const { image } of this.registerService.held()) {
      const { current, previous } = image.state.config;
      const reachable = current.filter(({ node }) => isHere(node)).length;
      yield { members: current.length, reachable, joint: previous !== undefined };
    }
  }

  /** Listens and meets the others through seeds, the descriptor's peers, or remembered contacts. */
  async start(seeds: readonly Endpoint[], options: Abortable = {}): Promise<void> {
    await this.peers.start();
    if (this.options.listen !== undefined) await this.place.listen(this.options.listen);
    this.selfRecord?.update({ endpoints: this.endpoints() });
    await this.overlay.start();
    await this.overlay.join([...seeds, ...(await this.place.sameDevice())], options);
    await this.beginVoting();
    if (this.options.silo === undefined) this.cancelWake = this.wakeLater(registerPeriodMs);
    else await this.beginWork();
    this.upkeep();
  }

  private async beginWork(): Promise<void> {
    const inspect = this.options.rebalancing?.inspectAtStart ?? true;
    for (const worker of this.workers) if (inspect || worker.name === 'descriptor') await worker.start();
    const wake = () => this.wakeLater(growthDelayMs);
    this.overlay.events.on('joined', wake);
    this.overlay.events.on('changed', wake);
    this.absence.events.on('evicted', wake);
    this.absence.events.on('back', wake);
    await this.absence.start();
  }

  private async beginVoting(): Promise<void> {
    if (this.options.alone) this.witness?.allow();
    else if (await this.witness?.check((await this.options.state.load()).length > 0)) this.selfRecord?.update({});
  }

  /** Where others reach this node; empty when it does not listen. */
  endpoints(): Endpoint[] {
    return this.place.endpoints();
  }

  private wakeLater(delayMs: number): Cancel {
    return this.runtime.clock.after(delayMs, () => {
      if (this.stopped === undefined) for (const worker of this.workers) worker.wake();
    });
  }

  /** Keeps this node's record true, and ends connections whose passports have expired. */
  private upkeep(): void {
    this.selfRecord?.update({ endpoints: this.endpoints() });
    closeRefused(this.peers, this.admission);
    this.cancelTimer = this.runtime.clock.after(recordPeriodMs, () => this.upkeep());
  }

  /** The descriptor in force. */
  network(): NetworkDescriptor {
    return this.descriptor;
  }

  /** Leaves, lets go of everything; idempotent. Silo and state stay open: they belong to who made them. */
  stop(): Promise<void> {
    this.stopped ??= this.shutDown();
    return this.stopped;
  }

  private async shutDown(): Promise<void> {
    this.cancelTimer();
    this.cancelWake();
    await this.place.stop(this.drain?.status().state === 'drained');
    this.watch?.stop();
    await this.absence.stop();
    this.witness?.stop();
    this.registerService?.stop();
    await this.drain?.stop();
    for (const worker of [...this.workers, ...this.movers]) await worker.stop();
    await this.overlay.leave();
    await this.overlay.stop();
    await this.registers.close();
    await this.peers.stop();
    await this.seen.close();
  }
}
