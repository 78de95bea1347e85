// The trees of a volume this process knows, one for each access list, opened when something leads there; and the numbers inodes of
// them have outside: that of the inode behind one of the tree, which follows from its id, so that it is the same after a restart
// but for the rare two that would have one.

import { asBuffer, type Bytes, toHex } from '../../base/bytes.ts';
import { decode, encode } from '../../base/codec.ts';
import { asError, InfinitError, isError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Address } from '../../block/address.ts';
import type { Clock } from '../../runtime/runtime.ts';
import type { Tree } from '../../tree/tree.ts';
import { type FileType, fileError } from './files.ts';
import { domainRecord, fileQuery } from './messages.ts';
import type { TreeFiles } from './tree-files.ts';

/** Numbers of trees: with 37 bits of inode they stay exact, and leave room above. */
const numbersMax = 2 ** 15;
/** Who may not read is not asked for again before. */
const deniedMs = 2000;
const rootsMax = 65_536;

/** A tree, and how it is found. */
export interface TreePlace {
  treeId: Bytes;
  /** Its root register; undefined: the volume's own tree, which its descriptor leads to. */
  root: Address | undefined;
}

export interface OpenDomain {
  tree: Tree;
  files: TreeFiles;
  /** May be changed by this user, as far as its list goes. */
  readOnly: boolean;
  close(): Promise<void>;
}

/** What an entry elsewhere leads to. */
export interface DomainRoot {
  /** The directory that has the entry, as it is known outside. */
  parent: number;
  type: FileType;
}

export class Domain {
  readonly place: TreePlace;
  /** What is added to its inode numbers. */
  readonly base: number;
  /** By inode, those met. */
  readonly roots = new Map<number, DomainRoot>();
  /** Once it is open. */
  now: OpenDomain | undefined;
  opening: Promise<OpenDomain> | undefined;
  denied: { untilMs: number; error: InfinitError } | undefined;

  constructor(place: TreePlace, base: number) {
    this.place = place;
    this.base = base;
  }

  meet(inode: number, root: DomainRoot): void {
    this.roots.delete(inode);
    this.roots.set(inode, root);
    const [oldest] = this.roots.keys();
    if (this.roots.size > rootsMax && oldest !== undefined) this.roots.delete(oldest);
  }
}

export interface DomainTableOptions {
  clock: Clock;
  root: TreePlace;
  /** Throws `denied` when it is not shared with this user, or not of the volume's owner. */
  open: (place: TreePlace, domain: Domain) => Promise<OpenDomain>;
  /** Told of each that was opened. */
  onOpened: (domain: Domain, opened: OpenDomain) => void;
}

export class DomainTable {
  readonly root: Domain;
  private readonly options: DomainTableOptions;
  private readonly byNumber = new Map<number, Domain>();
  private readonly byTree = new Map<string, Domain>();

  constructor(options: DomainTableOptions) {
    this.options = options;
    this.root = this.add(options.root, 0);
  }

  get all(): Domain[] {
    return [...this.byNumber.values()];
  }

  /** Throws `stale` for a number nobody was told. */
  at(number: number): { domain: Domain; inode: number } {
    if (number < limits.domainInodesMax) return { domain: this.root, inode: number };
    const at = Math.floor(number / limits.domainInodesMax);
    const domain = this.byNumber.get(at);
    if (domain === undefined) throw fileError('stale', `inode ${number} does not exist`);
    return { domain, inode: number - domain.base };
  }

  find(treeId: Bytes): Domain | undefined {
    return this.byTree.get(toHex(treeId));
  }

  /** Throws `full`. */
  named(place: TreePlace): Domain {
    const known = this.find(place.treeId);
    if (known !== undefined) return known;
    if (this.byNumber.size >= numbersMax / 2) throw new InfinitError('full', 'too many access lists were met');
    let number = 1 + (asBuffer(place.treeId).readUInt32BE() % (numbersMax - 1));
    while (this.byNumber.has(number)) number = 1 + (number % (numbersMax - 1));
    return this.add(place, number);
  }

  /** That a tree's entries name by this number. */
  async domainOf(from: Domain, number: number, options: Abortable = {}): Promise<Domain> {
    const { tree } = await this.opened(from);
    return this.named(
      decode(domainRecord, await tree.query(encode(fileQuery, { type: 'domain', domain: number }), options)),
    );
  }

  /** Throws what opening throws. */
  opened(domain: Domain): Promise<OpenDomain> {
    if (domain.opening !== undefined) return domain.opening;
    const opening = this.open(domain);
    domain.opening = opening;
    opening.catch(() => {
      if (domain.opening === opening) domain.opening = undefined;
    });
    return opening;
  }

  /** Its next use opens it anew. */
  async close(domain: Domain): Promise<void> {
    const { opening } = domain;
    domain.opening = domain.now = undefined;
    const opened = await opening?.catch(() => undefined);
    await opened?.close();
  }

  private async open(domain: Domain): Promise<OpenDomain> {
    const { clock, open, onOpened } = this.options;
    const { denied } = domain;
    try {
      if (denied !== undefined && clock.monotonic() < denied.untilMs) throw denied.error;
      if (this.all.filter(({ opening }) => opening !== undefined).length > limits.domainsOpenMax)
        throw new InfinitError('full', `at most ${limits.domainsOpenMax} access lists are open at once`);
      const opened = await open(domain.place, domain);
      domain.now = opened;
      domain.denied = undefined;
      onOpened(domain, opened);
      return opened;
    } catch (cause) {
      const error = asError(cause);
      if (isError(error, 'denied') && error !== denied?.error)
        domain.denied = { untilMs: clock.monotonic() + deniedMs, error };
      throw error;
    }
  }

  private add(place: TreePlace, number: number): Domain {
    const domain = new Domain(place, number * limits.domainInodesMax);
    this.byNumber.set(number, domain);
    this.byTree.set(toHex(place.treeId), domain);
    return domain;
  }
}
