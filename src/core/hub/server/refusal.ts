// What the hub says when it does not do what was asked: a status, a code such as `network/not_found`, a reason for people. The
// codes are the original's where it had one.

import { asError, type ErrorKind, InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { kindOf } from '../statuses.ts';

export interface RefusalBody {
  error: string;
  reason: string;
  name?: string;
}

/** Statuses the hub answers with when it refuses. */
export type RefusalStatus = 400 | 401 | 402 | 403 | 404 | 405 | 409 | 410 | 413 | 415 | 422 | 429 | 500 | 503;

/** Thrown by handlers; `headers` go with the answer. */
export class Refusal extends InfinitError {
  readonly status: RefusalStatus;
  readonly body: RefusalBody;
  readonly headers: Record<string, string>;

  constructor(status: RefusalStatus, body: RefusalBody, headers: Record<string, string> = {}) {
    super(kindOf(status), body.reason);
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

export function outdated(object: string, name: string, serial: number, known: number): Refusal {
  const reason = `${shown(object, name)}: serial ${serial} is not newer than serial ${known} on the hub`;
  return new Refusal(409, { error: `${codeOf(object)}/outdated`, reason, name });
}

export function tooOften(waitMs: number, reason: string): Refusal {
  return new Refusal(429, { error: 'request/rate', reason }, { 'retry-after': String(Math.ceil(waitMs / 1000)) });
}

export function tooLong(): Refusal {
  return new Refusal(413, { error: 'request/size', reason: `a body has at most ${limits.hubBodyBytesMax} bytes` });
}

export function noPassword(user: string): Refusal {
  return new Refusal(404, {
    error: 'user/no_password',
    reason: `user "${user}" doesn't use the hub to login`,
    name: user,
  });
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
function shown(object: string, name: string): string {
  return `${object} "${object === 'passport' ? name.replace(/\/([^/]*)$/, ': $1') : name}"`;
}

function codeOf(object: string): string {
  return object.toLowerCase().replaceAll(/[ -]/g, '_');
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
