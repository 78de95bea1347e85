// Keeps what the network register says in force here (docs/protocols.md 2.10): the owner's devices publish a newer descriptor in
// it, all others take it from there; trees that were destroyed are told of.

import { equalBytes } from '../base/bytes.ts';
import type { KeyPair } from '../crypto/keys.ts';
import type { NetworkDescriptor } from '../descriptor/descriptor.ts';
import { keyFromJson, sameKey } from '../descriptor/keys.ts';
import { verifyNetwork } from '../descriptor/signing.ts';
import { formatDescriptor, parseDescriptor } from '../descriptor/stream.ts';
import type { NetworkRegister } from '../store/network-register.ts';
import type { DestroyedTree } from '../store/tree-entries.ts';
import type { Work } from '../store/worker.ts';

export interface DescriptorSyncOptions {
  register: NetworkRegister;
  user: KeyPair;
  /** The descriptor in force here. */
  current: () => NetworkDescriptor;
  /** A newer one, verified, was heard of. */
  learned: (descriptor: NetworkDescriptor) => Promise<void>;
  /** Trees the register says were destroyed, by the word of their owners; the same ones again and again. */
  destroyed: (trees: readonly DestroyedTree[]) => Promise<void>;
}

export class DescriptorSync implements Work {
  readonly name = 'descriptor';
  readonly counters = { checked: 0, learned: 0, published: 0, refused: 0 };
  private readonly options: DescriptorSyncOptions;

  constructor(options: DescriptorSyncOptions) {
    this.options = options;
  }

  /** Of the register's value looked at last. */
  version = 0;

  async step(signal: AbortSignal): Promise<boolean> {
    const { register, user, current } = this.options;
    this.counters.checked++;
    const state = await register.read({ signal });
    this.version = register.version;
    const theirs = state.descriptor.length === 0 ? undefined : parseDescriptor('network', state.descriptor);
    const ours = current();
    if (theirs !== undefined && theirs.serial > ours.serial) await this.take(theirs, ours);
    else if ((theirs?.serial ?? 0) < ours.serial && equalBytes(keyFromJson(ours.owner), user.publicKey)) {
      await register.publish(user, descriptorBytes(ours), { signal });
      this.version = register.version;
      this.counters.published++;
    }
    await this.options.destroyed(state.destroyed);
    return false;
  }

  private async take(theirs: NetworkDescriptor, ours: NetworkDescriptor): Promise<void> {
    if (theirs.name !== ours.name || !sameKey(theirs.owner, ours.owner)) {
      this.counters.refused++;
      return;
    }
    verifyNetwork(theirs);
    await this.options.learned(theirs);
    this.counters.learned++;
  }
}

/** As the network register holds it. */
export function descriptorBytes(descriptor: NetworkDescriptor): Buffer {
  return Buffer.from(formatDescriptor('network', descriptor));
}
