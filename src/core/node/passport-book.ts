// Passports this node has seen, by hash: values in registers name their author's passport that way, so members must know it
// even when the author never spoke to them. Nodes tell each other the passports they meet. Everything is verified with the
// network owner's key before it counts. Also which nodes were met as certified storage nodes: only they become members.

import { type Bytes, equalBytes, fromBase64, toBase64, toHex } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type Address, type NodeId, networkIdOf } from '../block/address.ts';
import type { AccessList } from '../block/register.ts';
import type { AuthorCheck, Loss, StateImage } from '../block/register-validity.ts';
import { adminsOf } from '../descriptor/admins.ts';
import { canonicalJson } from '../descriptor/canonical.ts';
import type { NetworkDescriptor, PassportDescriptor } from '../descriptor/descriptor.ts';
import { keyFromJson } from '../descriptor/keys.ts';
import { restsOnRevoked, verifyPassport } from '../descriptor/rights.ts';
import { passportHash } from '../descriptor/signing.ts';
import { parseDescriptor } from '../descriptor/stream.ts';
import type { PeerIdentity, Peers } from '../peer/peer.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { networkLosses, type OfNetwork, refuseNetworkValue } from '../store/network-register.ts';
import { PassportTells } from './passport-tells.ts';
import type { NodeState } from './state.ts';

const storageNodesMax = 65_536;

export interface PassportBookOptions {
  runtime: Runtime;
  state: NodeState;
  network: () => NetworkDescriptor;
  /** Meets a storage node that is known by its record only, so that its credentials are seen. */
  meet: (node: NodeId) => Promise<void>;
  /** Whether the node is among the first candidates for the address, in this node's view. */
  isNear: (address: Address, node: NodeId) => boolean;
}

export class PassportBook implements AuthorCheck {
  private readonly options: PassportBookOptions;
  private readonly passports = new Map<string, PassportDescriptor>();
  /** Nodes met as storage nodes, with the passport they showed last. */
  private readonly storageNodes = new Map<string, PassportDescriptor>();
  private readonly meeting = new Set<string>();
  /** Names of the passports of each delegate. */
  private readonly byDelegate = new Map<string, Set<string>>();
  private peers: Peers | undefined;
  private tells: PassportTells | undefined;

  constructor(options: PassportBookOptions) {
    this.options = options;
  }

  /** Reads what was seen before. */
  async load(): Promise<void> {
    for (const passport of await this.options.state.passports(limits.passportsKeptMax)) this.learn(passport, false);
  }

  serve(peers: Peers): void {
    this.peers = peers;
    const { runtime } = this.options;
    const tells = new PassportTells({ runtime, peers, learn: (passport) => this.learn(passport, true) });
    this.tells = tells;
    peers.events.on('connected', (peer) => {
      if (peer.identity.kind === 'storage')
        tells.tell(
          peer,
          [...this.passports].map(([name, passport]) => [name, canonicalJson(passport)] as const),
        );
    });
  }

  /** For admission: an identity was verified with this passport. */
  admitted(identity: PeerIdentity, passport: PassportDescriptor): void {
    const name = toHex(identity.id);
    if (identity.kind === 'storage' && (this.storageNodes.has(name) || this.storageNodes.size < storageNodesMax))
      this.storageNodes.set(name, passport);
    this.keep(identity.passportHash, passport, true);
  }

  mayWrite(userKey: Bytes, hash: Bytes): boolean {
    const passport = this.passports.get(toHex(hash));
    if (passport === undefined || toHex(keyFromJson(passport.user)) !== toHex(userKey)) return false;
    return this.lets(passport, 'write');
  }

  /** Whether a passport gives that right now: unexpired, unrevoked. */
  private lets(passport: PassportDescriptor, right: 'write' | 'storage'): boolean {
    try {
      const network = this.options.network();
      const rights = verifyPassport(network, passport, { now: this.options.runtime.clock.now() });
      return rights[right] && !restsOnRevoked(network, passport);
    } catch (error) {
      if (isError(error)) return false;
      throw error;
    }
  }

  /**
   * A certified storage node whose passport has not ended, near the register in this node's view (docs/protocols.md 2.8): nobody
   * moves registers to nodes of his choice. False for a node not met yet, which is then met: whoever asked will ask again.
   */
  mayStore(node: NodeId, address: Address): boolean {
    const name = toHex(node);
    const passport = this.storageNodes.get(name);
    if (passport !== undefined) return this.lets(passport, 'storage') && this.options.isNear(address, node);
    if (!this.meeting.has(name) && this.meeting.size < limits.knownContactsMax) {
      this.meeting.add(name);
      this.options
        .meet(node)
        .catch(() => {})
        .finally(() => this.meeting.delete(name));
    }
    return false;
  }

  /** The network register has rules of its own; what cannot be read is refused with its reason. */
  refuseValue(image: StateImage, held: StateImage | undefined): string | undefined {
    const network = this.networkOf(image);
    if (network === undefined)
      return withoutAdmins(adminsOf(this.options.network()), image.state.access, held?.state.access);
    const { value } = image.state;
    // Versions end somewhere, and everybody may write here.
    if (held && value.version > held.state.value.version + limits.networkVersionsAheadMax)
      return 'the version is too far ahead';
    try {
      return refuseNetworkValue(network, value.payload, held?.state.value.payload);
    } catch (error) {
      if (isError(error)) return error.message;
      throw error;
    }
  }

  losses(image: StateImage, held: StateImage): Loss[] {
    const network = this.networkOf(image);
    if (network === undefined) return [];
    const losses = networkLosses(network, image.state.value.payload, held.state.value.payload);
    return losses.map(({ reason, standsIn }) => ({
      reason,
      standsIn: (other) => standsIn(other.state.value.payload),
    }));
  }

  /** Set for states of the network register. */
  private networkOf({ address }: StateImage): OfNetwork | undefined {
    const { founding, owner, name } = this.options.network();
    if (founding === null || !equalBytes(fromBase64(founding.register), address)) return undefined;
    const key = keyFromJson(owner);
    const members = new Set([owner.ed25519, ...[...this.passports.values()].map(({ user }) => user.ed25519)]);
    const isMember = (user: Bytes) => members.has(toBase64(user));
    return { id: networkIdOf(key, name), owner: key, isMember };
  }

  /** False for what is no passport of this network, and for the many of a delegate who signs more than his share. */
  private learn(encoded: Bytes, fresh: boolean): boolean {
    try {
      const passport = parseDescriptor('passport', encoded);
      const hash = passportHash(passport);
      if (this.passports.has(toHex(hash))) return true;
      if (this.countOf(passport) >= limits.passportsPerDelegateMax)
        throw new InfinitError('full', 'a delegate signed more passports than are kept of one');
      verifyPassport(this.options.network(), passport);
      this.keep(hash, passport, fresh);
      return true;
    } catch (error) {
      if (!isError(error)) throw error;
      this.options.runtime.log.write('debug', 'passports', `refused: ${error.message}`);
      return false;
    }
  }

  /** Passports kept that the same delegate signed; none for those of the owner. */
  private countOf({ certifier }: PassportDescriptor): number {
    return certifier === undefined ? 0 : (this.byDelegate.get(certifier.ed25519)?.size ?? 0);
  }

  private keep(hash: Bytes, passport: PassportDescriptor, fresh: boolean): void {
    const name = toHex(hash);
    if (this.passports.has(name)) return;
    // Somebody who came himself is kept, in the place of another of the same delegate.
    if (this.countOf(passport) >= limits.passportsPerDelegateMax) this.forgetOldest(this.namesOf(passport));
    if (this.passports.size >= limits.passportsKeptMax) this.forgetOldest(this.passports.keys());
    this.passports.set(name, passport);
    this.namesOf(passport)?.add(name);
    if (!fresh) return;
    const encoded = canonicalJson(passport);
    this.options.state.rememberPassport(hash, encoded).catch(() => {}); // it will be told again
    for (const peer of this.peers?.connected() ?? []) this.tells?.tell(peer, [[name, encoded]]);
  }

  private forgetOldest(names: Iterable<string> | undefined): void {
    for (const name of names ?? []) {
      const passport = this.passports.get(name);
      this.passports.delete(name);
      if (passport) this.namesOf(passport)?.delete(name);
      return;
    }
  }

  private namesOf({ certifier }: PassportDescriptor): Set<string> | undefined {
    if (certifier === undefined) return undefined;
    const names = this.byDelegate.get(certifier.ed25519) ?? new Set<string>();
    if (names.size === 0) this.byDelegate.set(certifier.ed25519, names);
    return names;
  }
}

/**
 * A new list of something sealed names the network's admins, or is refused. Lists there were stay as they are, and what is in the
 * clear needs no readers.
 */
export function withoutAdmins(
  admins: readonly { key: Bytes; write: boolean }[],
  access: AccessList,
  held: AccessList | undefined,
): string | undefined {
  const isNew = held === undefined || access.version > held.version;
  if (!isNew || access.readers.length === 0) return undefined;
  const isIn = (keys: readonly Bytes[], key: Bytes) => keys.some((other) => equalBytes(other, key));
  const readers = access.readers.map(({ key }) => key);
  const writers = [access.owner, ...access.writers];
  const lacks = admins.some(({ key, write }) => !isIn(readers, key) || (write && !isIn(writers, key)));
  return lacks ? 'an admin of the network is not in the access list' : undefined;
}
