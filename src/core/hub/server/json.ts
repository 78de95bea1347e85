// The body of a request as JSON that passed a check.

import { asError } from '../../base/errors.ts';
import type { HubRequest } from '../hub.ts';
import { badRequest, Refusal } from './refusal.ts';

/** Throws a refusal: 415 for another type, 400 for what is no JSON, 422 for what the check refuses. */
export function checkedBody<T>(request: Pick<HubRequest, 'headers' | 'body'>, check: (value: unknown) => T): T {
  const value = jsonOf(request);
  try {
    return check(value);
  } catch (error) {
    throw new Refusal(422, { error: 'request/schema', reason: asError(error).message });
  }
}

function jsonOf({ headers, body }: Pick<HubRequest, 'headers' | 'body'>): unknown {
  const type = headers['content-type'];
  if (type !== undefined && !/^application\/json\s*(;|$)/i.test(type))
    throw new Refusal(415, { error: 'request/type', reason: 'the body must be application/json' });
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw badRequest('the body is not JSON');
  }
}
