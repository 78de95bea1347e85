// Node records: what a storage node says of itself, signed with its node key. A record counts only when its id is the hash
// of its key and its signature verifies; of two records of one node the higher serial wins.

import type { Bytes } from '../base/bytes.ts';
import { compareBytes, equalBytes } from '../base/bytes.ts';
import { encode } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { nodeIdOf } from '../block/address.ts';
import { type KeyPair, sign, signatureBytes, verify } from '../crypto/keys.ts';
import { type NodeRecord, nodeRecord } from './overlay.ts';

const label = 'node-record';
/** These texts are logged and shown. */
const controls = /\p{Cc}/u;
const unsigned = new Uint8Array(signatureBytes);

/** What a node states; id, key and signature follow from its key pair. */
export type NodeStatement = Omit<NodeRecord, 'id' | 'publicKey' | 'signature'>;

export function signRecord(key: KeyPair, statement: NodeStatement): NodeRecord {
  const record = { ...statement, id: nodeIdOf(key.publicKey), publicKey: key.publicKey, signature: unsigned };
  return { ...record, signature: sign(key, label, bodyOf(record)) };
}

/** Throws `corrupt` unless the record is its node's own and within limits. */
export function checkRecord(record: NodeRecord): void {
  const fail = (what: string) => new InfinitError('corrupt', `node record refused: ${what}`);
  if (!equalBytes(record.id, nodeIdOf(record.publicKey))) throw fail('the id is not the hash of the key');
  if (record.positions < 1 || record.positions > limits.kouncilPositionsMax) throw fail('bad number of positions');
  if (controls.test([record.zone ?? '', ...record.endpoints.map(({ host }) => host)].join()))
    throw fail('a control character');
  if (!verify(record.publicKey, record.signature, label, bodyOf(record))) throw fail('bad signature');
}

/**
 * The record that stands: the one of higher serial. Of two with one serial, which only a liar signs, the one of higher signature,
 * so that everybody believes the same. Throws `corrupt` when the newer is not valid.
 */
export function mergeRecord(held: NodeRecord | undefined, heard: NodeRecord): NodeRecord {
  if (held !== undefined && held.serial > heard.serial) return held;
  if (held?.serial === heard.serial && compareBytes(held.signature, heard.signature) >= 0) return held;
  checkRecord(heard);
  return heard;
}

function bodyOf(record: NodeRecord): Bytes {
  return encode(nodeRecord, { ...record, signature: unsigned });
}
