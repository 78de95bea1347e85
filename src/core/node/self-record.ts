// This storage node's record: signed anew whenever what it says changes, with a serial that grows over restarts too.

import { type Bytes, equalBytes } from '../base/bytes.ts';
import { encode } from '../base/codec.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { type NodeStatement, signRecord } from '../overlay/node-record.ts';
import { type NodeRecord, nodeRecord } from '../overlay/overlay.ts';
import { positionsFor } from '../overlay/ring.ts';
import type { Endpoint, Runtime } from '../runtime/runtime.ts';
import type { Silo } from '../silo/silo.ts';
import type { NodeState } from './state.ts';

/** A node refuses placement when this part of its capacity is used. */
const closedAtPart = 0.95;
/** Free space is rounded down, so that the record does not change with every block; less where there is little of it. */
const freeStepBytesMax = 256 * 1024 * 1024;
const freeSteps = 256;
/** Without a limit or a disk that tells, a node counts as this large. */
const assumedCapacityBytes = 1024 ** 4;
const serialName = 'record-serial';

export interface SelfRecordOptions {
  runtime: Runtime;
  state: NodeState;
  node: KeyPair;
  userKey: Uint8Array;
  silo: Silo;
  zone: string | undefined;
}

export class SelfRecord {
  private readonly options: SelfRecordOptions;
  private readonly positions: number;
  private record: NodeRecord;
  private credentials: () => Bytes = () => Buffer.alloc(0);

  private constructor(options: SelfRecordOptions, serial: number) {
    this.options = options;
    this.positions = positionsFor(capacityOf(options.silo));
    this.record = signRecord(options.node, this.statement([], serial, false));
  }

  static async open(options: SelfRecordOptions): Promise<SelfRecord> {
    const before = Number((await options.state.setting(serialName)) ?? 0);
    const serial = Math.max(before + 1, options.runtime.clock.now());
    await options.state.set(serialName, String(serial));
    return new SelfRecord(options, serial);
  }

  current(): NodeRecord {
    return this.record;
  }

  /** From now on the record shows what this node presents to peers; others believe no record without. */
  certify(credentials: () => Bytes): void {
    this.credentials = credentials;
    this.update({});
  }

  /** Signs anew when anything changed; returns whether it did. */
  update(change: { endpoints?: Endpoint[]; leaving?: boolean }): boolean {
    const { endpoints, leaving, serial } = this.record;
    const statement = this.statement(change.endpoints ?? endpoints, serial, change.leaving ?? leaving);
    const same = equalBytes(encode(nodeRecord, { ...this.record, ...statement }), encode(nodeRecord, this.record));
    if (same) return false;
    this.record = signRecord(this.options.node, { ...statement, serial: serial + 1 });
    this.options.state.set(serialName, String(serial + 1)).catch(() => {}); // the clock makes it grow all the same
    return true;
  }

  private statement(endpoints: Endpoint[], serial: number, leaving: boolean): NodeStatement {
    const { silo, userKey, zone } = this.options;
    const usage = silo.usage();
    const capacityBytes = capacityOf(silo);
    const closed = usage.freeBytes < capacityBytes * (1 - closedAtPart);
    const step = Math.min(freeStepBytesMax, Math.ceil(capacityBytes / freeSteps));
    const freeBytes = Math.floor(Math.min(usage.freeBytes, capacityBytes) / step) * step;
    const stores = [silo.storeId];
    return {
      userKey,
      endpoints,
      positions: this.positions,
      zone,
      capacityBytes,
      freeBytes,
      stores,
      closed,
      leaving,
      serial,
      credentials: this.credentials(),
    };
  }
}

function capacityOf(silo: Silo): number {
  const { capacityBytes, freeBytes, usedBytes } = silo.usage();
  return (
    capacityBytes ??
    (Number.isFinite(freeBytes) ? Math.min(freeBytes + usedBytes, assumedCapacityBytes) : assumedCapacityBytes)
  );
}
