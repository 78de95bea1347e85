// Signs register values in batches: whatever waits when a signature may be made shares it. At most two signed batches are
// under way, so that under load batches grow by themselves; no timer delays a lone write.

import type { Bytes } from '../../base/bytes.ts';
import { toHex } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { BatchSignature } from '../../block/register.ts';
import { signBatch } from '../../block/register-batch.ts';
import type { KeyPair } from '../../crypto/keys.ts';
import type { Cancel, Clock } from '../../runtime/runtime.ts';

/** A signature, and what to call when the write it is for has ended, however it did. */
export interface Signed {
  proof: BatchSignature;
  done(): void;
}

interface Waiting {
  leaf: Bytes;
  resolve(signed: Signed): void;
}

/** After this long a batch under way no longer holds up the next: one register without quorum must not stop the others. */
const stallMs = 50;

export class BatchSigner {
  private readonly clock: Clock;
  private readonly queues = new Map<string, { key: KeyPair; waiting: Waiting[] }>();
  private waiting = 0;
  private underWay = 0;
  private scheduled = false;
  private stall: Cancel | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  sign(key: KeyPair, leaf: Bytes): Promise<Signed> {
    if (this.waiting >= limits.registerQueueMax)
      return Promise.reject(new InfinitError('full', 'too many register writes wait to be signed'));
    const name = toHex(key.publicKey);
    const queue = this.queues.get(name) ?? { key, waiting: [] };
    this.queues.set(name, queue);
    this.waiting++;
    return new Promise((resolve) => {
      queue.waiting.push({ leaf, resolve });
      this.schedule();
    });
  }

  private schedule(): void {
    if (this.scheduled || this.waiting === 0) return;
    if (this.underWay >= limits.registerBatchesInFlightMax) {
      this.stall ??= this.clock.after(stallMs, () => {
        this.stall = undefined;
        this.underWay = 0;
        this.schedule();
      });
      return;
    }
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.signSome();
      this.schedule();
    });
  }

  private signSome(): void {
    const [first] = this.queues;
    if (!first) return;
    const [name, queue] = first;
    this.queues.delete(name);
    const batch = queue.waiting.splice(0, limits.registerBatchMax);
    // Behind the other authors, so that none of them starves.
    if (queue.waiting.length > 0) this.queues.set(name, queue);
    this.waiting -= batch.length;
    this.underWay++;
    let open = true;
    // The writes of a batch travel together: when one has ended the others are about to.
    const done = () => {
      if (!open) return;
      open = false;
      this.underWay = Math.max(0, this.underWay - 1);
      this.schedule();
    };
    const proofs = signBatch(
      queue.key,
      batch.map(({ leaf }) => leaf),
    );
    for (const [i, proof] of proofs.entries()) batch[i]?.resolve({ proof, done });
  }
}
