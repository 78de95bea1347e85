// The one error class of the core. A kind is what a caller may act on; the message is for a person. Errors cross the wire
// whole (kind, message, hint) and every outside world maps kinds by one total table (exit codes, errno, HTTP).

/** The closed set of kinds. Do not reorder: the index travels on the wire. */
export const errorKinds = [
  'usage', // the caller asked for something that makes no sense
  'not-found', // the named thing does not exist
  'exists', // the named thing exists already
  'denied', // the caller lacks the right
  'conflict', // somebody else changed it first; read again
  'unavailable', // too few peers, a time-out, a closed connection; worth retrying
  'corrupt', // bytes that fail a checksum, a signature or a format
  'full', // a capacity or a stated limit is reached
  'unsupported', // known, but not by this version or this implementation
  'cancelled', // the caller gave up
  'lost', // acknowledged data that no reachable holder has
  'internal', // a bug of ours
] as const;

export type ErrorKind = (typeof errorKinds)[number];

export interface ErrorDetails {
  /** The next command to type, or what to check. */
  hint?: string;
  cause?: unknown;
  /** Small facts a program may want, JSON-safe. */
  data?: Record<string, unknown>;
}

export class InfinitError extends Error {
  readonly kind: ErrorKind;
  readonly hint: string | undefined;
  readonly data: Record<string, unknown> | undefined;

  constructor(kind: ErrorKind, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'InfinitError';
    this.kind = kind;
    this.hint = details.hint;
    this.data = details.data;
  }
}

/** True for an InfinitError, of the given kind when one is named. */
export function isError(error: unknown, ...kinds: ErrorKind[]): error is InfinitError {
  return error instanceof InfinitError && (kinds.length === 0 || kinds.includes(error.kind));
}

/** Any thrown value as an InfinitError; what is not ours becomes `internal` with the original as cause. */
export function asError(error: unknown): InfinitError {
  if (error instanceof InfinitError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new InfinitError('internal', message, { cause: error });
}

/** Throws `internal` when one of our own invariants does not hold: a bug, never a reaction to somebody's input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InfinitError('internal', `broken invariant: ${message}`);
}

/** For `default:` branches of exhaustive switches. */
export function unreachable(value: never): never {
  throw new InfinitError('internal', `unreachable: ${String(value)}`);
}
