// What the hub says when it does not do what was asked: a status, a code such as `network/not_found`, a reason for people. The
// codes are the original's where it had one.

import { asError, type ErrorKind, InfinitError } from '../../base/errors.ts';

export interface RefusalBody {
  error: string;
  reason: string;
  name?: string;
}

/** Statuses the hub answers with when it refuses. */
export type RefusalStatus = 400 | 401 | 402 | 403 | 404 | 405 | 409 | 410 | 413 | 415 | 422 | 429 | 500 | 503;

const kinds: Record<RefusalStatus, ErrorKind> = {
  400: 'usage',
  401: 'denied',
  402: 'full',
  403: 'denied',
  404: 'not-found',
  405: 'unsupported',
  409: 'conflict',
  410: 'not-found',
  413: 'full',
  415: 'unsupported',
  422: 'corrupt',
  429: 'full',
  500: 'internal',
  503: 'unavailable',
};

/** Thrown by handlers; `headers` go with the answer. */
export class Refusal extends InfinitError {
  readonly status: RefusalStatus;
  readonly body: RefusalBody;
  readonly headers: Record<string, string>;

  constructor(status: RefusalStatus, body: RefusalBody, headers: Record<string, string> = {}) {
    super(kinds[status], body.reason);
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** `network "alice/n" does not exist`, as `network/not_found`. */
export function notFound(object: string, name: string): Refusal {
  return new Refusal(404, {
    error: `${codeOf(object)}/not_found`,
    reason: `${shown(object, name)} does not exist`,
    name,
  });
}

export function conflict(object: string, name: string, reason: string): Refusal {
  return new Refusal(409, { error: `${codeOf(object)}/conflict`, reason: `${shown(object, name)} ${reason}`, name });
}

export function forbidden(object: string, name: string, reason: string): Refusal {
  return new Refusal(403, { error: `${codeOf(object)}/forbidden`, reason, name });
}

export function unauthorized(reason: string): Refusal {
  return new Refusal(401, { error: 'user/unauthorized', reason });
}

export function badRequest(reason: string): Refusal {
  return new Refusal(400, { error: 'request/invalid', reason });
}

/** As the command line names it: `passport "alice/n: bob"`. */
export function shown(object: string, name: string): string {
  return `${object} "${object === 'passport' ? name.replace(/\/([^/]*)$/, ': $1') : name}"`;
}

function codeOf(object: string): string {
  return object.replaceAll(/[ -]/g, '_');
}

const statuses: Record<ErrorKind, RefusalStatus> = {
  usage: 400,
  'not-found': 404,
  exists: 409,
  denied: 403,
  conflict: 409,
  unavailable: 503,
  corrupt: 422,
  full: 413,
  unsupported: 415,
  cancelled: 503,
  lost: 503,
  internal: 500,
};

/** Any thrown value as a refusal; what is not the client's doing says nothing of the inside. */
export function refusalOf(thrown: unknown): Refusal {
  if (thrown instanceof Refusal) return thrown;
  const error = asError(thrown);
  const status = statuses[error.kind];
  if (status < 500) return new Refusal(status, { error: `request/${error.kind}`, reason: error.message });
  const reason = status === 503 ? 'the hub cannot do this now: try again' : 'the hub failed';
  return new Refusal(status, { error: status === 503 ? 'hub/unavailable' : 'hub/error', reason });
}
