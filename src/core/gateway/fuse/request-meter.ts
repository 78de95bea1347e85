// What a mount counts of the kernel's requests: how long they take, by operation, and the bytes of files read and written.

import type { Counter, Histogram, Metrics } from '../../base/metrics.ts';
import { countOf, type Reply } from './replies.ts';
import { type Header, opcodes } from './wire.ts';

const names = new Map<number, string>(Object.entries(opcodes).map(([name, opcode]) => [opcode, name.toLowerCase()]));

export class RequestMeter {
  private readonly times: Histogram;
  private readonly bytes: Counter;

  constructor(metrics: Metrics) {
    this.times = metrics.histogram(
      'infinit_fuse_request_seconds',
      'Time until requests of the kernel are answered.',
      'operation',
    );
    this.bytes = metrics.counter(
      'infinit_fuse_bytes_total',
      'Bytes of files read and written through the mount.',
      'direction',
    );
  }

  /** What failed has an empty reply. */
  ended({ opcode }: Header, milliseconds: number, reply: Reply): void {
    this.times.observe(milliseconds, names.get(opcode) ?? 'other');
    if (Buffer.isBuffer(reply)) {
      if (opcode === opcodes.WRITE) this.bytes.add(countOf(reply), 'written');
    } else if (opcode === opcodes.READ)
      this.bytes.add(
        reply.reduce((sum, piece) => sum + piece.length, 0),
        'read',
      );
  }
}
