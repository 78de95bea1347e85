// From a request to an answer: rate, route, signature, handler; whatever goes wrong becomes an answer too. Knows nothing of sockets, so
// that tests and the simulator call it as HTTP does.

import { fromBase64, utf8 } from '../../base/bytes.ts';
import { asError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { keyFromJson } from '../../descriptor/keys.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { userBody } from '../bodies.ts';
import type { HubRequest, HubResponse, HubStore } from '../hub.ts';
import { type Claim, claimOf, isSignedBy, isTimely, nonceEndMs } from '../signature.ts';
import { type Answer, Call, type Caller, type HubSettings } from './call.ts';
import { enrolDelegate } from './delegate.ts';
import { checkedBody } from './json.ts';
import type { Mailer } from './mail.ts';
import { HubMeter } from './meter.ts';
import { waitingPairing, wrongPassphrase } from './pairing.ts';
import { Post } from './post.ts';
import { clientOf, Rates } from './rates.ts';
import { badRequest, noPassword, notFound, Refusal, refusalOf, tooLong, tooOften, unauthorized } from './refusal.ts';
import { type Match, matching, segmentsOf } from './routes.ts';
import { sessionUser } from './web/handlers.ts';

export interface HubOptions extends HubSettings {
  /** Undefined: the hub sends no e-mail. */
  mailer?: Mailer | undefined;
  runtime: Pick<Runtime, 'random' | 'log' | 'metrics'> & { clock: Pick<Runtime['clock'], 'now' | 'monotonic'> };
  store: HubStore;
  /** `host` or `host:port` by which people name this hub; requests signed for another are refused. Undefined: any. */
  host?: string | undefined;
}

/** A request that is being answered. */
interface Asked {
  request: HubRequest;
  beganMs: number;
  /** Undefined: none was found, or not yet. */
  route?: Match['route'];
}

export class HubApi {
  private readonly options: HubOptions;
  private readonly byAddress = new Rates(limits.hubAddressRate);
  private readonly byUser = new Rates(limits.hubUserRate);
  private readonly refused = new Rates(limits.hubRefusedRate);
  private readonly enrolments = new Rates(limits.hubEnrolRate);
  private readonly logins = new Rates(limits.hubLoginRate);
  private readonly pairings = new Rates(limits.hubPairingRate);
  private readonly post: Post | undefined;
  private readonly meter: HubMeter | undefined;
  private sweptMs = 0;

  private constructor(options: HubOptions) {
    this.options = options;
    this.post = options.mailer && new Post(options.mailer, options.runtime.clock);
    const { metrics } = options.runtime;
    this.meter = metrics && new HubMeter(metrics);
  }

  static async open(options: HubOptions): Promise<HubApi> {
    await enrolDelegate(options.store, options.runtime.random);
    return new HubApi(options);
  }

  /** Never throws. */
  async handle(request: HubRequest): Promise<HubResponse> {
    const asked = this.begin(request);
    try {
      this.admit(this.byAddress, clientOf(request.remote));
      if (request.body.length > limits.hubBodyBytesMax) throw tooLong();
      const match = routeOf(request);
      asked.route = match.route;
      return this.told(asked, responseOf(await this.answer(request, match)));
    } catch (thrown) {
      return this.refuse(asked, thrown);
    }
  }

  /** Instead, when the body was not read because it is too long. */
  handleTooLong(request: HubRequest): HubResponse {
    return this.refuse(this.begin(request), tooLong());
  }

  private begin(request: HubRequest): Asked {
    return { request, beganMs: this.options.runtime.clock.monotonic() };
  }

  private refuse(asked: Asked, thrown: unknown): HubResponse {
    const { log } = this.options.runtime;
    const { method, path } = asked.request;
    const { status, body, headers } = refusalOf(thrown);
    if (status >= 500) log.write('error', 'hub', `${method} ${path}: ${asError(thrown).message}`);
    return this.told(asked, responseOf({ status, body }, headers), body.error);
  }

  private told({ request, route, beganMs }: Asked, response: HubResponse, refusal?: string): HubResponse {
    this.meter?.count({
      ...{ request, response, refusal },
      route: route && `${route.method} ${route.path}`,
      milliseconds: this.options.runtime.clock.monotonic() - beganMs,
    });
    return response;
  }

  private async answer(request: HubRequest, { route, params }: Match): Promise<Answer> {
    const { store, runtime } = this.options;
    const nowMs = runtime.clock.now();
    await this.sweep(nowMs);
    const caller = await this.authenticate(request, { route, params }, nowMs);
    const { random } = runtime;
    const { options: settings, post } = this;
    return route.handle(new Call({ request, params, caller, store, random, nowMs, settings, post }));
  }

  /** Who signed; undefined on an open route that nobody known signed well. */
  private async authenticate(request: HubRequest, match: Match, nowMs: number): Promise<Caller | undefined> {
    const { access } = match.route;
    if (access === 'code') {
      this.admit(this.logins, `code ${match.params.user ?? clientOf(request.remote)}`);
      return undefined;
    }
    if (access === 'session') return this.signedIn(request, nowMs);
    try {
      if (access === 'open' && request.headers['infinit-signature'] === undefined) return undefined;
      return await this.prove(request, match, nowMs);
    } catch (error) {
      if (access === 'open') return undefined;
      if (error instanceof Refusal && error.status === 401) this.admit(this.refused, clientOf(request.remote));
      throw error;
    }
  }

  private async signedIn(request: HubRequest, nowMs: number): Promise<Caller | undefined> {
    const { store } = this.options;
    const name = await sessionUser(store, request, nowMs);
    const user = name === undefined ? undefined : await store.get('user', name);
    return user && { name: user.name, key: user.public_key };
  }

  private async prove(request: HubRequest, match: Match, nowMs: number): Promise<Caller> {
    const claim = claimed(request);
    const { host } = this.options;
    if (host !== undefined && request.host.toLowerCase() !== host.toLowerCase())
      throw unauthorized(`this hub is ${host}, the request is for another`);
    if (!isTimely(claim, nowMs)) throw unauthorized('the time of the request is too far from that of the hub');
    const key = await this.keyOf(request, match, claim, nowMs);
    if (!isSignedBy(key, claim, request))
      throw match.route.access === 'pairing'
        ? wrongPassphrase(claim.user)
        : unauthorized('the signature does not fit the request');
    this.admit(this.byUser, claim.user);
    const isNew = await this.options.store.useNonce(`${claim.user} ${claim.nonce}`, nonceEndMs(claim));
    if (!isNew) throw unauthorized('the request was sent before');
    return { name: claim.user, key: { ed25519: Buffer.from(key).toString('base64') } };
  }

  /** The key that must have signed. */
  private async keyOf(request: HubRequest, { route, params }: Match, claim: Claim, nowMs: number): Promise<Uint8Array> {
    const { store } = this.options;
    const named = params.user;
    if (route.access !== 'open' && route.access !== 'signed' && claim.user !== named)
      throw unauthorized(`only user "${named}" may do this`);
    if (route.access === 'enrol') return this.enrolled(request, claim.user);
    if (route.access === 'login') {
      this.admit(this.logins, claim.user);
      const identity = await store.identity(claim.user);
      if (identity === undefined) throw noPassword(claim.user);
      return fromBase64(identity.login_key.ed25519);
    }
    if (route.access === 'pairing') {
      this.admit(this.pairings, claim.user);
      return fromBase64((await waitingPairing(store, claim.user, nowMs)).login_key.ed25519);
    }
    const user = await store.get('user', claim.user);
    if (user === undefined) throw notFound('user', claim.user);
    return keyFromJson(user.public_key);
  }

  /** Whoever takes a name proves that he has the key he names. */
  private async enrolled(request: HubRequest, name: string): Promise<Uint8Array> {
    if ((await this.options.store.get('user', name)) === undefined)
      this.admit(this.enrolments, clientOf(request.remote));
    return keyFromJson(checkedBody(request, userBody).user.public_key);
  }

  private admit(rates: Rates, client: string): void {
    const waitMs = rates.take(client, this.options.runtime.clock.monotonic());
    if (waitMs > 0) throw tooOften(waitMs, 'too many requests: try again later');
  }

  private async sweep(nowMs: number): Promise<void> {
    if (Math.abs(nowMs - this.sweptMs) < limits.hubSweepPeriodMs) return;
    this.sweptMs = nowMs;
    await this.options.store.sweep(nowMs);
  }
}

function routeOf({ method, path }: HubRequest): Match {
  let segments: string[];
  try {
    segments = segmentsOf(path).map(decodeURIComponent);
  } catch {
    throw badRequest('the path is not well encoded');
  }
  const matches = matching(segments);
  const found = matches.find(({ route }) => route.method === method);
  if (found !== undefined) return found;
  if (matches.length === 0)
    throw new Refusal(404, { error: 'route/not_found', reason: 'there is nothing at this path' });
  const allow = matches.map(({ route }) => route.method).join(', ');
  throw new Refusal(405, { error: 'route/method', reason: `the methods here are ${allow}` }, { allow });
}

function claimed(request: HubRequest): Claim {
  try {
    const claim = claimOf(request);
    if (claim !== undefined) return claim;
  } catch (error) {
    throw unauthorized(asError(error).message);
  }
  throw unauthorized('the request is not signed');
}

export function responseOf(
  { status, body, raw, headers: own }: Answer,
  headers: Record<string, string> = {},
): HubResponse {
  const type = raw?.type ?? 'application/json';
  const content = raw?.content ?? utf8(JSON.stringify(body));
  return { status, headers: { 'content-type': type, 'cache-control': 'no-store', ...own, ...headers }, body: content };
}
