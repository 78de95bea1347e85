// The first exchange on a connection: the dialler presents its credentials, the listener judges them and only then presents
// its own. Whoever is not convinced says so in one refusal frame and closes. Nothing else is processed before.

import { equalBytes } from '../base/bytes.ts';
import { decodeParts, encodeParts } from '../base/codec.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { checkSignal } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Clock, Connection } from '../runtime/runtime.ts';
import { errorCodec, frameKinds, framePrefix, hello, parseFrame, protocolVersions } from './frames.ts';
import type { Admission, PeerIdentity } from './peer.ts';

export type Side = 'dialler' | 'listener';

export interface Greeted {
  readonly identity: PeerIdentity;
  /** Ends the greeting: from now on frames and the end of the connection go to the new owner. */
  handOver(receive: (frame: Buffer) => void, closed: (error?: Error) => void): void;
}

/** Who is at the other end. Throws what admission threw on either side, `unsupported`, `corrupt`, `unavailable`. */
export function greet(
  connection: Connection,
  side: Side,
  admission: Admission,
  clock: Clock,
  signal?: AbortSignal,
): Promise<Greeted> {
  return new Promise((resolve, reject) => {
    let end: { error: Error | undefined } | undefined;
    let owner: ((error?: Error) => void) | undefined;
    const early: Buffer[] = [];
    let done = false;

    const finish = (error: unknown, identity?: PeerIdentity) => {
      if (done) return;
      done = true;
      stop();
      signal?.removeEventListener('abort', aborted);
      if (identity) resolve({ identity, handOver });
      else reject(error);
    };
    const handOver: Greeted['handOver'] = (receive, closed) => {
      owner = closed;
      connection.onFrame(receive);
      for (const frame of early) receive(frame);
      if (end) closed(end.error);
    };
    const drop = (error: InfinitError) => {
      connection.close(error);
      finish(error);
    };
    const aborted = () => {
      try {
        checkSignal(signal);
      } catch (error) {
        drop(asError(error));
      }
    };
    const stop = clock.after(limits.handshakeTimeoutMs, () =>
      drop(new InfinitError('unavailable', 'the other side did not introduce itself')),
    );

    connection.onClose((error) => {
      end = { error };
      if (owner) owner(error);
      else finish(new InfinitError('unavailable', 'connection closed during introduction', { cause: error }));
    });
    connection.onFrame((frame) => {
      if (done) {
        early.push(frame);
        return;
      }
      try {
        const identity = judge(frame, connection, admission);
        if (side === 'listener') present(connection, admission);
        finish(undefined, identity);
      } catch (error) {
        refuse(connection, error);
        finish(error instanceof RemoteRefusal ? error.refusal : error);
      }
    });
    signal?.addEventListener('abort', aborted, { once: true });
    aborted();
    if (side === 'dialler') present(connection, admission);
  });
}

class RemoteRefusal extends Error {
  readonly refusal: InfinitError;
  constructor(refusal: InfinitError) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

function present(connection: Connection, admission: Admission): void {
  const { header } = encodeParts(hello, {
    versionMin: protocolVersions.min,
    versionMax: protocolVersions.max,
    presented: admission.present(),
  });
  connection.send([framePrefix(frameKinds.hello, 0, header.length), header]);
}

function judge(bytes: Buffer, connection: Connection, admission: Admission): PeerIdentity {
  const frame = parseFrame(bytes);
  if (frame.kind === frameKinds.refusal) throw new RemoteRefusal(readRefusal(bytes));
  if (frame.kind !== frameKinds.hello) throw new InfinitError('corrupt', 'the first frame is no introduction');
  const { versionMin, versionMax, presented } = decodeParts(hello, frame.body, frame.headerLength);
  if (versionMin > protocolVersions.max || versionMax < protocolVersions.min) {
    const { min, max } = protocolVersions;
    throw new InfinitError(
      'unsupported',
      `peer speaks protocol ${versionMin} to ${versionMax}, this one ${min} to ${max}`,
    );
  }
  const identity = admission.admit(presented, connection.remoteKey);
  if (!equalBytes(identity.nodeKey, connection.remoteKey))
    throw new InfinitError('denied', 'credentials are of another node than the one connected');
  return identity;
}

/** The error of a refusal frame. Throws `corrupt`. */
export function readRefusal(bytes: Buffer): InfinitError {
  const frame = parseFrame(bytes);
  return decodeParts(errorCodec, frame.body, frame.headerLength);
}

/** Tells the other side why, unless it was itself that refused, and closes. */
function refuse(connection: Connection, error: unknown): void {
  if (error instanceof RemoteRefusal) {
    connection.close();
    return;
  }
  const shown = isError(error) ? error : new InfinitError('internal', 'introduction failed');
  const { header } = encodeParts(errorCodec, shown);
  connection.send([framePrefix(frameKinds.refusal, 0, header.length), header]);
  connection.close();
}
