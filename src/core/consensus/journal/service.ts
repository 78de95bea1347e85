// A store's side of journals: serves `jnl.*`, keeps them in a silo. What a message changed is durable, and so is everything
// changed before it, when its answer leaves; appends of one journal are written side by side.

import { type Bytes, equalBytes, fromHex, toHex } from '../../base/bytes.ts';
import { decode } from '../../base/codec.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { type Address, type Member, sameMember } from '../../block/address.ts';
import { type AuthorCheck, StateVerifier } from '../../block/register-validity.ts';
import type { Peers } from '../../peer/peer.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Silo } from '../../silo/silo.ts';
import { type RegisterSnapshot, rootHeader } from '../consensus.ts';
import { segmentStart } from './chain.ts';
import { MemberJournal, type MemberStep, type VerifiedRoot } from './member.ts';
import {
  type BatchPlace,
  entriesOf,
  hasJournal,
  loadJournal,
  mendBatch,
  metaKey,
  placeIn,
  readBatch,
  readBatches,
  removeJournal,
  storedTrees,
} from './member-store.ts';
import {
  type JournalAnswer,
  type JournalMethod,
  type JournalResponse,
  journalAppend,
  journalCopy,
  journalFence,
  journalHold,
  journalOpen,
  journalRead,
  journalRelease,
  journalSkip,
  journalTrim,
  type SignedBatch,
} from './messages.ts';

export interface JournalServiceOptions {
  runtime: Runtime;
  peers: Peers;
  silo: Silo;
  /** The node and the store it speaks for: that of the silo. */
  member: () => Member;
  networkId: Bytes;
  authors: AuthorCheck;
}

export interface JournalService {
  /** Trees of which this store keeps a journal, in whatever order. */
  trees(): AsyncIterable<Address>;
  /**
   * Brings a journal in line with its root as agreed: segments it does not list go, the fence stays; all goes when the tree is
   * deleted. Returns whether the root counts on this store.
   */
  follow(root: RegisterSnapshot): Promise<boolean>;
  /** Removes the journal of a tree that is gone for good. */
  remove(tree: Address): Promise<void>;
  /** The tree to whose journal a record here belongs: one of which a journal can be read here, or one of those that may be. */
  treeOf(key: Bytes, maybe: AsyncIterable<{ address: Address }>): Promise<Address | undefined>;
  /**
   * Replaces a record that has rotted: that of the tree from memory, a batch by what `fetch` brings from the members of its segment
   * as agreed. A batch that the root does not need goes. Where nobody remembers the tree's own record, a journal that the root does
   * not need begins anew, fenced at its epoch.
   */
  mend(
    root: RegisterSnapshot,
    key: Bytes,
    fetch: (place: BatchPlace, members: readonly Member[]) => Promise<SignedBatch | undefined>,
  ): Promise<void>;
}

/** Registers the handlers; call once a node, when it starts: grants given before are waited for from now. */
export function serveJournals(options: JournalServiceOptions): JournalService {
  const store = new JournalStore(options);
  const now = () => options.runtime.clock.monotonic();
  const serve = <Q extends { tree: Address }>(
    method: JournalMethod<Q>,
    prepare: (request: Q, user: Bytes) => Prepared,
  ) => options.peers.serve(method, (request, { from }) => store.answer(request.tree, prepare(request, from.userKey)));
  const proved =
    <Q extends { tree: Address; proof: Bytes }>(
      step: (journal: MemberJournal, root: VerifiedRoot, request: Q, user: Bytes) => MemberStep,
    ) =>
    (request: Q, user: Bytes) => {
      const root = store.root(request.tree, request.proof, user);
      return {
        creator: root.mine.length > 0 ? toHex(user) : undefined,
        step: (journal: MemberJournal) => step(journal, root, request, user),
      };
    };
  serve(
    journalOpen,
    proved((j, root, request) => j.open(root, request.segment, now())),
  );
  serve(
    journalFence,
    proved((j, root) => j.fenceAt(root, now())),
  );
  serve(
    journalTrim,
    proved((j, root) => j.trim(root)),
  );
  serve(
    journalSkip,
    proved((j, root, request, user) => j.skip(request, root, user)),
  );
  serve(journalAppend, (request, user) => ({ step: (j) => j.append(request, user, now()) }));
  serve(journalHold, (request, user) => ({ step: (j) => j.hold(request.segment, request.epoch, user, now()) }));
  serve(journalRelease, (request, user) => ({ step: (j) => j.release(request.segment, request.epoch, user) }));
  options.peers.serve(journalRead, (request, { from }) => store.read(request, from.userKey));
  options.peers.serve(journalCopy, (request) => store.copy(request));
  return store;
}

/** Only a verified root that names this store makes a journal that is not here yet; `creator` is its author. */
interface Prepared {
  creator?: string | undefined;
  step: (journal: MemberJournal) => MemberStep;
}

/** A journal in memory, and the end of what it wrote so far. */
interface Loaded {
  journal: MemberJournal;
  written: Promise<void>;
  /** A write failed: it is not stepped any more, another takes its place. */
  failed: boolean;
}

class JournalStore implements JournalService {
  private readonly options: JournalServiceOptions;
  private readonly verifier: StateVerifier;
  private readonly startedAt: number;
  private readonly journals = new Map<string, Promise<Loaded>>();
  /** Journals made here, by the user that made them. */
  private readonly places = new Map<string, Set<string>>();
  /** Trees of which there are journals, by the keys of their records. */
  private readonly stored = new Map<string, Address>();

  constructor(options: JournalServiceOptions) {
    this.options = options;
    this.verifier = new StateVerifier(options.networkId);
    this.startedAt = options.runtime.clock.monotonic();
  }

  trees(): AsyncIterable<Address> {
    return storedTrees(this.options.silo, this.stored);
  }

  async follow({ address: tree, payload, deleted, author, access }: RegisterSnapshot): Promise<boolean> {
    if (deleted) {
      await this.remove(tree);
      return false;
    }
    const header = decode(rootHeader, payload);
    const root = { header, author, access: access.version, mine: [] };
    const self = this.options.member();
    const isListed = header.segments.some(({ members }) => members.some((member) => sameMember(member, self)));
    await this.answer(tree, { step: (journal) => journal.tidy(root) }).catch((error: unknown) => {
      // What cannot be read stays; but nothing counts on it.
      if (isListed || !isError(error, 'corrupt')) throw error;
    });
    return isListed;
  }

  async remove(tree: Address): Promise<void> {
    const name = toHex(tree);
    await (await this.journals.get(name))?.written;
    await removeJournal(this.options.silo, tree);
    this.journals.delete(name);
    this.stored.delete(toHex(metaKey(tree)));
    for (const places of this.places.values()) places.delete(name);
  }

  async treeOf(key: Bytes, maybe: AsyncIterable<{ address: Address }>): Promise<Address | undefined> {
    for (const name of this.journals.keys()) if (placeIn(fromHex(name), key)) return fromHex(name);
    for await (const tree of this.trees()) if (placeIn(tree, key)) return tree;
    for await (const { address } of maybe) if (placeIn(address, key)) return address;
    return undefined;
  }

  async mend(root: RegisterSnapshot, key: Bytes, fetch: Parameters<JournalService['mend']>[2]): Promise<void> {
    const { address: tree, payload } = root;
    const place = placeIn(tree, key);
    const known = await this.journals.get(toHex(tree))?.catch(() => undefined);
    if (place === 'meta') {
      const journal = known && !known.failed ? known.journal : this.begunAnew(root);
      if (journal) await this.write(entriesOf(tree, journal, [{ type: 'meta' }]));
      return;
    }
    if (place === undefined) return;
    const { state, epoch, segments } = decode(rootHeader, payload);
    const listed = segments.find(({ id }) => id === place.segment);
    const isOver = (of: number) => listed === undefined && state !== 'recovering' && of < epoch;
    await known?.written;
    await mendBatch(this.options.silo, tree, place, { isOver, fetch: () => fetch(place, listed?.members ?? []) });
  }

  /** Whoever fenced here had his root chosen before: no fence was above that of the agreed root. Batches left are removed when it is loaded. */
  private begunAnew({ address: tree, payload, access }: RegisterSnapshot): MemberJournal | undefined {
    const { state, epoch, segments } = decode(rootHeader, payload);
    const self = this.options.member();
    const isNeeded = segments.some(({ members }) => members.some((member) => sameMember(member, self)));
    if (isNeeded || state === 'recovering') return undefined;
    return new MemberJournal(this.startsOf(tree), epoch, [], undefined, access.version);
  }

  private startsOf(tree: Address): ConstructorParameters<typeof MemberJournal>[0] {
    return (segment) => segmentStart(this.options.networkId, tree, segment);
  }

  async copy({ tree, ...place }: BatchPlace & { tree: Address }): Promise<JournalResponse> {
    return this.respond({ type: 'batches', batches: [await readBatch(this.options.silo, tree, place)] });
  }

  async answer(tree: Address, { creator, step }: Prepared): Promise<JournalResponse> {
    if (!(await this.isHere(tree))) {
      if (creator === undefined) return this.respond({ type: 'closed' });
      this.takePlace(tree, creator);
    }
    let loaded = await this.loaded(tree);
    while (loaded.failed) loaded = await this.loaded(tree);
    const { answer, changes } = step(loaded.journal);
    const batches = entriesOf(tree, loaded.journal, changes);
    if (batches.length > 0) {
      const before = loaded.written;
      const writing = this.write(batches);
      loaded.written = Promise.allSettled([before, writing]).then(() => Promise.all([before, writing]).then(() => {}));
      loaded.written.catch(() => this.forget(tree, loaded));
    }
    await loaded.written;
    return this.respond(answer);
  }

  async read(
    request: { tree: Address; epoch: number; segment: number; from: number },
    user: Bytes,
  ): Promise<JournalResponse> {
    if (!(await this.isHere(request.tree))) return this.respond({ type: 'closed' });
    const { journal, written } = await this.loaded(request.tree);
    await written;
    const refusal = journal.mayRead(request.epoch, user);
    if (refusal) return this.respond(refusal);
    const segment = journal.segments.get(request.segment);
    const batches = segment ? await readBatches(this.options.silo, request.tree, segment, request.from) : [];
    return this.respond({ type: 'batches', batches });
  }

  /**
   * What a signed root says, verified: the register of that tree, its author may write and is the one who shows it. Others may
   * have seen it before it was chosen, or when it never was: they must not trim or fence by it. Throws `corrupt`, `denied`.
   */
  root(tree: Address, proof: Bytes, user: Bytes): VerifiedRoot {
    const image = this.verifier.read(proof);
    if (!equalBytes(image.address, tree)) throw new InfinitError('corrupt', 'the signed root is of another tree');
    const { author, passportHash, payload, deleted } = image.state.value;
    if (deleted) throw new InfinitError('not-found', 'the tree is deleted');
    if (!equalBytes(author, user)) throw new InfinitError('denied', 'another user wrote this root');
    if (!this.options.authors.mayWrite(author, passportHash))
      throw new InfinitError('denied', "the passport of the root's author does not allow writing");
    const header = decode(rootHeader, payload);
    const self = this.options.member();
    const mine = header.segments.filter(({ members }) => members.some((member) => sameMember(member, self)));
    return { header, author, access: image.state.access.version, mine };
  }

  private respond(answer: JournalAnswer): JournalResponse {
    return { store: this.options.member().store, answer };
  }

  private async write(batches: ReturnType<typeof entriesOf>): Promise<void> {
    for (const entries of batches) await this.options.silo.batch(entries);
  }

  private async isHere(tree: Address): Promise<boolean> {
    return this.journals.has(toHex(tree)) || (await hasJournal(this.options.silo, tree));
  }

  /** Counted since this start; the places of a user are not those of others. */
  private takePlace(tree: Address, user: string): void {
    const places = this.places.get(user) ?? new Set();
    if (places.size >= limits.journalsPerUserMax)
      throw new InfinitError('full', 'this node keeps too many journals of this user');
    this.places.set(user, places.add(toHex(tree)));
  }

  private loaded(tree: Address): Promise<Loaded> {
    const name = toHex(tree);
    const known = this.journals.get(name);
    if (known) return known;
    if (this.journals.size >= limits.journalsPerMemberMax)
      return Promise.reject(new InfinitError('full', 'this node keeps too many journals'));
    const loading = this.load(tree);
    this.journals.set(name, loading);
    loading.catch(() => this.journals.delete(name));
    return loading;
  }

  private async load(tree: Address): Promise<Loaded> {
    const startOf = this.startsOf(tree);
    const stored = await loadJournal(this.options.silo, tree, () => this.options.runtime.clock.sleep(0));
    const written = Promise.resolve();
    if (!stored) return { journal: new MemberJournal(startOf), written, failed: false };
    // Grants are not written down: whatever may have been granted before this start is honoured in full.
    const grant = { epoch: stored.fence, until: this.startedAt + limits.grantMs };
    const { fence, segments, access } = stored;
    return { journal: new MemberJournal(startOf, fence, segments, grant, access), written, failed: false };
  }

  /** After a failed write memory is ahead of the disk: read again, once, what is there when nothing is being written. */
  private forget(tree: Address, failed: Loaded): void {
    if (failed.failed) return;
    failed.failed = true;
    const { grant } = failed.journal;
    const again = failed.written.catch(() => {}).then(() => this.load(tree));
    const reloaded = again.then((loaded) => {
      if (grant.until > loaded.journal.grant.until) loaded.journal.grant = grant;
      return loaded;
    });
    this.journals.set(toHex(tree), reloaded);
    reloaded.catch(() => this.journals.delete(toHex(tree)));
  }
}
