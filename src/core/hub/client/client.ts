// Requests of one person to one hub: signed where he has his key here, answers checked before anybody uses them. What the hub refuses
// is thrown as an error of ours with the original's texts.

import { asBuffer, utf8 } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { KeyPair } from '../../crypto/keys.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { HubConnection, HubRequest, HubResponse } from '../hub.ts';
import { signRequest } from '../signature.ts';
import { kindOf } from '../statuses.ts';

export interface Signer {
  name: string;
  key: KeyPair;
}

export interface Asking {
  query?: string;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is. */
  raw?: { type: string; content: Uint8Array };
  /** Signs instead of the person: logins. */
  signer?: Signer;
  /** Need not be signed. */
  open?: boolean;
  /** For errors: `pushing network "alice/n"`. */
  what: string;
}

export class HubClient {
  readonly person: Signer | undefined;
  readonly random: Runtime['random'];
  private readonly connection: HubConnection;
  private readonly clock: Pick<Runtime['clock'], 'now'>;

  constructor(
    runtime: { clock: Pick<Runtime['clock'], 'now'>; random: Runtime['random'] },
    connection: HubConnection,
    person: Signer | undefined,
  ) {
    this.clock = runtime.clock;
    this.random = runtime.random;
    this.connection = connection;
    this.person = person;
  }

  /** What is sent can be read on the way. */
  get isExposed(): boolean {
    return this.connection.isExposed;
  }

  /** The same for another person. */
  as(person: Signer): HubClient {
    return new HubClient({ clock: this.clock, random: this.random }, this.connection, person);
  }

  /** The answer as JSON. Throws what `failureOf` says. */
  async ask(method: string, path: string, asking: Asking): Promise<unknown> {
    const response = await this.send(method, path, asking);
    try {
      return JSON.parse(response.body.toString('utf8'));
    } catch (cause) {
      throw new InfinitError('corrupt', 'the hub answers with something that is not JSON', { cause });
    }
  }

  /** The answer as it is. */
  async send(method: string, path: string, asking: Asking): Promise<HubResponse> {
    const { query = '', body, raw, signer, open, what } = asking;
    const by = signer ?? this.person;
    if (by === undefined && !open)
      throw new InfinitError('denied', `Forbidden ${what}, ${identityAdvice}`, {
        hint: 'the acting user has no private key here',
      });
    const content =
      raw !== undefined ? asBuffer(raw.content) : body === undefined ? Buffer.alloc(0) : utf8(JSON.stringify(body));
    const type = raw?.type ?? (body === undefined ? undefined : 'application/json');
    const request: Omit<HubRequest, 'headers' | 'remote'> = {
      method,
      host: this.connection.host,
      path,
      query,
      body: content,
    };
    const times = { nowMs: this.clock.now(), nonce: this.random.bytes(16) };
    const signature = by === undefined ? {} : signRequest(request, by.name, by.key, times);
    const headers = { ...signature, ...(type !== undefined && { 'content-type': type }) };
    const response = await this.connection.exchange({ ...request, headers });
    if (response.status >= 200 && response.status < 300) return response;
    throw failureOf(response, what);
  }
}

const reasonCharsMax = 500;
const identityAdvice = 'ensure the user has been set using --as or INFINIT_USER';
/** Of what was typed, not of the signature. */
const wrongSecrets: ReadonlyMap<string, string> = new Map([
  ['ldap/password', 'password of the directory do not match'],
  ['pairing/invalid_passphrase', 'invalid passphrase'],
]);

/** What a refusal means to the person; `data.error` is the hub's code. */
function failureOf({ status, body }: HubResponse, what: string): InfinitError {
  const { error, reason } = refusal(body);
  const isConflict = error.endsWith('/outdated') || error === 'request/conflict';
  const kind = isConflict ? 'conflict' : kindOf(status);
  const details = { data: { status, error } };
  const hub = reason === '' ? {} : { hint: `the hub says: ${reason}` };
  switch (status) {
    case 401: {
      const wrongSecret = wrongSecrets.get(error);
      if (wrongSecret !== undefined) return new InfinitError(kind, wrongSecret, details);
      return new InfinitError(kind, `Unauthorized ${what}, check the system clock`, { ...details, ...hub });
    }
    case 402:
      return new InfinitError(kind, `limit reached ${what}`, { ...details, ...hub });
    case 403:
      return new InfinitError(kind, `Forbidden ${what}, ${identityAdvice}`, { ...details, ...hub });
    case 404:
    case 409:
    case 410:
      return new InfinitError(kind, reason === '' ? `${what}: ${status}` : reason, details);
    case 429:
      return new InfinitError(kind, `${what}: the hub is asked too often`, details);
    default:
      return new InfinitError(kind, `${what}: the hub answers ${status}`, { ...details, ...hub });
  }
}

/** Of whatever the hub, or something before it, said. */
function refusal(body: Buffer): { error: string; reason: string } {
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, reasonCharsMax) : '');
  try {
    const { error, reason } = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    return { error: text(error), reason: text(reason) };
  } catch {
    return { error: '', reason: '' };
  }
}
