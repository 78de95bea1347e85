// This storage node's record: signed anew whenever what it says changes, with a serial that grows over restarts too.

import { type Bytes, equalBytes } from '../base/bytes.ts';
import { encode } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { type NodeStatement, signRecord } from '../overlay/node-record.ts';
import { type NodeRecord, nodeRecord } from '../overlay/overlay.ts';
import type { NetworkAdmission } from '../peer/admission.ts';
import type { Endpoint, Runtime } from '../runtime/runtime.ts';
import type { Silo } from '../silo/silo.ts';
import type { NodeState } from './state.ts';

/** A node takes nothing new once this part of its capacity is free or less, until more than the second is. */
const closedAtFreePart = 0.05;
const openAtFreePart = 0.07;
/** Free space is rounded down, so that the record does not change with every block; less where there is little of it. */
const freeStepBytesMax = 256 * 1024 * 1024;
const freeSteps = 256;
/** Without a limit or a disk that tells, a node counts as this large. */
const assumedCapacityBytes = 1024 ** 4;
const serialName = 'record-serial';
const positionsName = (overlay: string) => `${overlay}-positions`;

/** Throws unless its user, whom the network lets store, certified that node. */
export function certifyRecord(admission: NetworkAdmission, { credentials, publicKey, userKey }: NodeRecord): void {
  const { kind, userKey: user } = admission.certified(credentials, publicKey);
  if (kind !== 'storage' || !equalBytes(user, userKey))
    throw new InfinitError('denied', 'the node record is not certified by its user');
}

export interface SelfRecordOptions {
  runtime: Runtime;
  state: NodeState;
  node: KeyPair;
  userKey: Uint8Array;
  silo: Silo;
  zone: string | undefined;
  /** The network's: says how many positions a node takes. */
  overlay: string;
}

export class SelfRecord {
  private readonly options: SelfRecordOptions;
  /** Whether `positions` was found among other nodes. */
  private settled: boolean;
  private positions: number;
  private record: NodeRecord;
  private credentials: () => Bytes = () => Buffer.alloc(0);

  private constructor(options: SelfRecordOptions, serial: number, positions: number | undefined) {
    this.options = options;
    this.settled = positions !== undefined;
    this.positions = positions ?? (options.overlay === 'kouncil' ? limits.kouncilPositions : limits.chordPositions);
    this.record = signRecord(options.node, this.statement([], serial, false));
  }

  static async open(options: SelfRecordOptions): Promise<SelfRecord> {
    const before = Number((await options.state.setting(serialName)) ?? 0);
    const serial = Math.max(before + 1, options.runtime.clock.now());
    await options.state.set(serialName, String(serial));
    const positions = Number((await options.state.setting(positionsName(options.overlay))) ?? 0);
    return new SelfRecord(options, serial, Number.isInteger(positions) && positions > 0 ? positions : undefined);
  }

  current(): NodeRecord {
    return this.record;
  }

  /** For an overlay that weighs nodes. Kept over restarts: positions that change move data. */
  readonly weighing = {
    settled: () => this.settled,
    set: (count: number) => {
      this.settled = true;
      this.positions = count;
      this.update({});
      const { state, overlay } = this.options;
      state.set(positionsName(overlay), String(count)).catch(() => {}); // found again after the next start
    },
  };

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
    // Undefined while the first record is made.
    const wasClosed = (this.record as NodeRecord | undefined)?.closed ?? false;
    const closed = leaving || usage.freeBytes < capacityBytes * (wasClosed ? openAtFreePart : closedAtFreePart);
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
