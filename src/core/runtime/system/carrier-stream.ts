// What a third node carries, as a stream TLS can run over. Nothing is read ahead of what TLS takes, nothing written ahead of what the
// carrier takes.

import { Duplex } from 'node:stream';
import type { Carrier } from '../runtime.ts';

export class CarrierStream extends Duplex {
  private readonly carrier: Carrier;
  private wanted: (() => void) | undefined;

  constructor(carrier: Carrier) {
    super({ allowHalfOpen: false, emitClose: true });
    this.carrier = carrier;
    carrier.onData((bytes) => {
      if (this.destroyed || this.push(bytes)) return Promise.resolve();
      return new Promise((resolve) => {
        this.wanted = resolve;
      });
    });
    carrier.onClose((error) => {
      if (error) this.destroy(error);
      else if (!this.destroyed) this.push(null);
    });
  }

  override _read(): void {
    const { wanted } = this;
    this.wanted = undefined;
    wanted?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.carrier.send(chunk).then(() => done(), done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error) => void): void {
    const pieces = chunks.map(({ chunk }) => chunk);
    this._write(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces), '', done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.carrier.close(error ?? undefined);
    this._read();
    done(error);
  }
}
