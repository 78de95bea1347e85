// What the tree says of lock sessions: a record a client, so that the next leader knows who may come to take up his locks.

import { asBuffer, type Bytes } from '../../base/bytes.ts';
import { decode, encode } from '../../base/codec.ts';
import { spaceKey, spaceRange } from '../keys.ts';
import type { MapReader, Transaction } from '../tree.ts';
import { lockSessionRecord } from './lock-messages.ts';
import type { LockRecords } from './lock-service.ts';

export interface LockRecordsOptions {
  reader(): MapReader;
  /** A change of the leader's own; acknowledged when it resolves. */
  internal(task: (transaction: Transaction) => Promise<void>): Promise<void>;
}

export function lockRecords({ reader, internal }: LockRecordsOptions): LockRecords {
  return {
    async all() {
      const found: { client: Bytes; session: number }[] = [];
      const { from, to } = spaceRange('lock');
      for await (const { key, value } of reader().scan(from, to))
        found.push({ client: asBuffer(key).subarray(1), session: decode(lockSessionRecord, value).session });
      return found;
    },
    put: (client, session) =>
      internal(async (transaction) =>
        transaction.put(spaceKey('lock', client), encode(lockSessionRecord, { session })),
      ),
    remove: (clients, mayGo) =>
      internal(async (transaction) => {
        for (const client of clients) if (mayGo(client)) transaction.delete(spaceKey('lock', client));
      }),
  };
}
