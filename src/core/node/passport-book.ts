// Passports this node has seen, by hash: values in registers name their author's passport that way, so members must know it
// even when the author never spoke to them. Nodes tell each other the passports they meet. Everything is verified with the
// network owner's key before it counts. Also which nodes were met as certified storage nodes: only they become members.

import { type Bytes, equalBytes, fromBase64, toHex } from '../base/bytes.ts';
import { bytes, empty, list, struct } from '../base/codec.ts';
import { isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type Address, type NodeId, networkIdOf } from '../block/address.ts';
import type { AuthorCheck, Loss, StateImage } from '../block/register-validity.ts';
import { canonicalJson } from '../descriptor/canonical.ts';
import type { NetworkDescriptor, PassportDescriptor } from '../descriptor/descriptor.ts';
import { keyFromJson, sameKey } from '../descriptor/keys.ts';
import { isRevoked, verifyPassport } from '../descriptor/rights.ts';
import { passportHash } from '../descriptor/signing.ts';
import { parseDescriptor } from '../descriptor/stream.ts';
import type { Method, Peer, PeerIdentity, Peers } from '../peer/peer.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { networkLosses, refuseNetworkValue } from '../store/network-register.ts';
import type { NodeState } from './state.ts';

const passportsPerMessageMax = 256;
const passportsMax = 4096;
const storageNodesMax = 65_536;

/** Passports the sender has met; the receiver verifies each. */
const passportTell: Method<{ passports: Bytes[] }, Record<string, never>> = {
  name: 'passport.tell',
  request: struct({ passports: list(bytes(limits.passportBytesMax), passportsPerMessageMax) }),
  response: empty,
  right: 'member',
};

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
  private readonly storageNodes = new Set<string>();
  private readonly meeting = new Set<string>();
  private peers: Peers | undefined;

  constructor(options: PassportBookOptions) {
    this.options = options;
  }

  /** Reads what was seen before. */
  async load(): Promise<void> {
    for (const passport of await this.options.state.passports(passportsMax)) this.learn(passport, false);
  }

  serve(peers: Peers): void {
    this.peers = peers;
    peers.serve(passportTell, ({ passports }) => {
      for (const passport of passports) this.learn(passport, true);
      return {};
    });
    peers.events.on('connected', (peer) => void this.tell(peer, [...this.passports.values()]));
  }

  /** For admission: an identity was verified with this passport. */
  admitted(identity: PeerIdentity, passport: PassportDescriptor): void {
    if (identity.kind === 'storage' && this.storageNodes.size < storageNodesMax)
      this.storageNodes.add(toHex(identity.id));
    this.keep(identity.passportHash, passport, true);
  }

  mayWrite(userKey: Bytes, hash: Bytes): boolean {
    const passport = this.passports.get(toHex(hash));
    if (passport === undefined || toHex(keyFromJson(passport.user)) !== toHex(userKey)) return false;
    const network = this.options.network();
    try {
      const { write } = verifyPassport(network, passport, { now: this.options.runtime.clock.now() });
      return write && (sameKey(passport.user, network.owner) || !this.isRevoked(passport, hash));
    } catch (error) {
      if (isError(error)) return false;
      throw error;
    }
  }

  /** Or the delegate's it rests on. The owner's is never. */
  private isRevoked({ certifier_passport: delegate }: PassportDescriptor, hash: Bytes): boolean {
    const network = this.options.network();
    return isRevoked(network, hash) || (delegate !== undefined && isRevoked(network, passportHash(delegate)));
  }

  /**
   * A certified storage node, near the register in this node's view (docs/protocols.md 2.8): nobody moves registers to nodes of
   * his choice. False for a node not met yet, which is then met: whoever asked will ask again.
   */
  mayStore(node: NodeId, address: Address): boolean {
    const name = toHex(node);
    if (this.storageNodes.has(name)) return this.options.isNear(address, node);
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
    if (network === undefined) return undefined;
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
  private networkOf({ address }: StateImage): { id: Bytes; owner: Bytes } | undefined {
    const { founding, owner, name } = this.options.network();
    if (founding === null || !equalBytes(fromBase64(founding.register), address)) return undefined;
    const key = keyFromJson(owner);
    return { id: networkIdOf(key, name), owner: key };
  }

  private learn(encoded: Bytes, fresh: boolean): void {
    try {
      const passport = parseDescriptor('passport', encoded);
      verifyPassport(this.options.network(), passport);
      this.keep(passportHash(passport), passport, fresh);
    } catch (error) {
      if (!isError(error)) throw error;
      this.options.runtime.log.write('debug', 'passports', `refused: ${error.message}`);
    }
  }

  private keep(hash: Bytes, passport: PassportDescriptor, fresh: boolean): void {
    const name = toHex(hash);
    if (this.passports.has(name)) return;
    const oldest = this.passports.keys().next();
    if (this.passports.size >= passportsMax && !oldest.done) this.passports.delete(oldest.value);
    this.passports.set(name, passport);
    if (!fresh) return;
    this.options.state.rememberPassport(hash, canonicalJson(passport)).catch(() => {}); // it will be told again
    for (const peer of this.peers?.connected() ?? []) void this.tell(peer, [passport]);
  }

  private async tell(peer: Peer, passports: readonly PassportDescriptor[]): Promise<void> {
    const own = this.peers?.self.id;
    if (peer.identity.kind !== 'storage' || (own !== undefined && toHex(peer.id) === toHex(own))) return;
    try {
      for (let at = 0; at < passports.length; at += passportsPerMessageMax) {
        const part = passports.slice(at, at + passportsPerMessageMax).map((passport) => canonicalJson(passport));
        await peer.call(passportTell, { passports: part });
      }
    } catch (error) {
      if (!isError(error)) throw error; // told again when it connects again
    }
  }
}
