// One signature for many register values (docs/protocols.md 2.8): the leaves of a Merkle tree are value hashes, the author
// signs the root, and each value keeps signature and path, so that it can be shown and verified alone. The tree is padded to a
// power of two with zero leaves. Leaves and inner nodes are hashed under different labels.

import { type Bytes, toHex } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { hashBytes, labelledHash } from '../crypto/hash.ts';
import { type KeyPair, sign, verify } from '../crypto/keys.ts';
import type { BatchSignature } from './register.ts';
import { RecentSet } from './register-recent-set.ts';

const signatureLabel = 'register-batch';
const padding = Buffer.alloc(hashBytes);

function leafHash(leaf: Bytes): Buffer {
  return labelledHash('batch-leaf', leaf);
}

function nodeHash(left: Bytes, right: Bytes): Buffer {
  return labelledHash('batch-node', left, right);
}

/** Signs 1 to `limits.registerBatchMax` hashes at once; the answers are in the order of the leaves. */
export function signBatch(key: KeyPair, leaves: readonly Bytes[]): BatchSignature[] {
  if (leaves.length === 0 || leaves.length > limits.registerBatchMax)
    throw new InfinitError('full', `a batch has 1 to ${limits.registerBatchMax} leaves, not ${leaves.length}`);
  const paths: Bytes[][] = leaves.map(() => []);
  let level: Bytes[] = leaves.map(leafHash);
  for (let depth = 0; level.length > 1; depth++) {
    if (level.length % 2 === 1) level.push(padding);
    for (const [index, path] of paths.entries()) path.push(level[(index >> depth) ^ 1] as Bytes);
    const above: Bytes[] = [];
    for (let i = 0; i < level.length; i += 2) above.push(nodeHash(level[i] as Bytes, level[i + 1] as Bytes));
    level = above;
  }
  const signature = sign(key, signatureLabel, level[0] as Bytes);
  return paths.map((path, index) => ({ signature, index, path }));
}

/** The root that the leaf and its path lead to, or undefined when the index does not fit the path. */
export function batchRoot(leaf: Bytes, proof: BatchSignature): Buffer | undefined {
  if (proof.index >> proof.path.length !== 0) return undefined;
  let at = leafHash(leaf);
  for (const [depth, sibling] of proof.path.entries())
    at = (proof.index >> depth) & 1 ? nodeHash(sibling, at) : nodeHash(at, sibling);
  return at;
}

/** Verifies batch signatures, each signed root once. */
export class BatchVerifier {
  private readonly roots = new RecentSet(limits.verifiedCacheEntriesMax);

  /** Whether the author signed a batch with that leaf. Never throws for hostile input. */
  verify(author: Bytes, leaf: Bytes, proof: BatchSignature): boolean {
    const root = batchRoot(leaf, proof);
    if (!root) return false;
    const name = toHex(author) + toHex(root) + toHex(proof.signature);
    if (this.roots.has(name)) return true;
    if (!verify(author, proof.signature, signatureLabel, root)) return false;
    this.roots.add(name);
    return true;
  }
}
