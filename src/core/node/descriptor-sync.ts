// Keeps the network's descriptor the same everywhere: the owner's devices publish a newer one in the network register, all others
// take it from there (docs/protocols.md 2.10).

import { equalBytes } from '../base/bytes.ts';
import type { KeyPair } from '../crypto/keys.ts';
import type { NetworkDescriptor } from '../descriptor/descriptor.ts';
import { keyFromJson, sameKey } from '../descriptor/keys.ts';
import { verifyNetwork } from '../descriptor/signing.ts';
import { formatDescriptor, parseDescriptor } from '../descriptor/stream.ts';
import type { NetworkRegister } from '../store/network-register.ts';
import type { Work } from '../store/worker.ts';

export interface DescriptorSyncOptions {
  register: NetworkRegister;
  user: KeyPair;
  /** The descriptor in force here. */
  current: () => NetworkDescriptor;
  /** A newer one, verified, was heard of. */
  learned: (descriptor: NetworkDescriptor) => Promise<void>;
}

export class DescriptorSync implements Work {
  readonly name = 'descriptor';
  readonly counters = { checked: 0, learned: 0, published: 0, refused: 0 };
  private readonly options: DescriptorSyncOptions;

  constructor(options: DescriptorSyncOptions) {
    this.options = options;
  }

  async step(signal: AbortSignal): Promise<boolean> {
    const { register, user, current } = this.options;
    this.counters.checked++;
    const state = await register.read({ signal });
    const theirs = state.descriptor.length === 0 ? undefined : parseDescriptor('network', state.descriptor);
    const ours = current();
    if (theirs !== undefined && theirs.serial > ours.serial) await this.take(theirs, ours);
    else if ((theirs?.serial ?? 0) < ours.serial && equalBytes(keyFromJson(ours.owner), user.publicKey)) {
      await register.publish(user, descriptorBytes(ours), { signal });
      this.counters.published++;
    }
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
