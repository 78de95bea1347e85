// OAuth 2 as object stores need it: signing in on another device's browser (RFC 8628) or with a code that is pasted back, and
// access tokens from the refresh token that comes of it (RFC 6749). Secrets travel in bodies only.

import { utf8 } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { ask, type HttpParts, hostOf, parseJson, readPatienceMs, retrying } from './requests.ts';

/** An application that is registered with the provider. */
export interface OAuthClient {
  id: string;
  secret: string;
}

export interface DeviceSignIn {
  deviceUrl: string;
  tokenUrl: string;
  scope: string;
}

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';
const pollMsMin = 1000;
const pollMsMax = 60_000;
/** An access token is not used in its last minute. */
const earlyMs = 60_000;

/**
 * Asks for a code, has it shown, and waits until a person entered it at the address: the refresh token. Throws `denied` when
 * he refuses, `unavailable` when the code ends first.
 */
export async function signInByDevice(
  parts: HttpParts,
  { deviceUrl, tokenUrl, scope }: DeviceSignIn,
  client: OAuthClient,
  show: (url: string, code: string) => void,
  options: Abortable = {},
): Promise<string> {
  const start = await post(parts, deviceUrl, { client_id: client.id, scope }, options);
  const { device_code: device, user_code: code } = start;
  const url = start.verification_url ?? start.verification_uri;
  if (typeof device !== 'string' || typeof code !== 'string' || typeof url !== 'string')
    throw refusal(deviceUrl, start);
  show(url, code);
  const ends = parts.clock.monotonic() + Number(start.expires_in ?? 600) * 1000;
  let pauseMs = Math.min(pollMsMax, Math.max(pollMsMin, Number(start.interval ?? 5) * 1000));
  while (parts.clock.monotonic() < ends) {
    await parts.clock.sleep(pauseMs, options);
    const form = { client_id: client.id, client_secret: client.secret, device_code: device, grant_type: deviceGrant };
    const answer = await post(parts, tokenUrl, form, options);
    if (typeof answer.refresh_token === 'string') return answer.refresh_token;
    if (answer.error === 'slow_down') pauseMs = Math.min(pollMsMax, pauseMs + 5000);
    else if (answer.error !== 'authorization_pending') throw refusal(tokenUrl, answer);
  }
  throw new InfinitError('unavailable', 'the code was not entered in time', { hint: 'try again' });
}

/** The refresh token for a code that the provider showed to a person. Throws `denied`. */
export async function signInByCode(
  parts: HttpParts,
  tokenUrl: string,
  client: OAuthClient,
  code: string,
  options: Abortable = {},
): Promise<string> {
  const form = { grant_type: 'authorization_code', code, client_id: client.id, client_secret: client.secret };
  const answer = await post(parts, tokenUrl, form, options);
  if (typeof answer.refresh_token !== 'string') throw refusal(tokenUrl, answer);
  return answer.refresh_token;
}

export interface TokenOptions {
  parts: HttpParts;
  tokenUrl: string;
  client: OAuthClient;
  refreshToken: string;
  /** How the credentials are named to people, and what to type when they are refused. */
  what: string;
  hint: string;
}

/** Access tokens, asked for anew before they end or when one was refused. */
export class Tokens {
  private readonly options: TokenOptions;
  private current: { token: string; endsMs: number } | undefined;
  private asking: Promise<string> | undefined;

  constructor(options: TokenOptions) {
    this.options = options;
  }

  /** Throws `denied` when the refresh token no longer holds. */
  get(): Promise<string> {
    const { current } = this;
    if (current !== undefined && this.options.parts.clock.monotonic() < current.endsMs)
      return Promise.resolve(current.token);
    this.asking ??= this.refresh().finally(() => {
      this.asking = undefined;
    });
    return this.asking;
  }

  /** This token was refused. */
  drop(token: string): void {
    if (this.current?.token === token) this.current = undefined;
  }

  private async refresh(): Promise<string> {
    const { parts, tokenUrl, client, refreshToken, what, hint } = this.options;
    const form = {
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: client.id,
      client_secret: client.secret,
    };
    const answer = await post(parts, tokenUrl, form, {});
    if (typeof answer.access_token !== 'string')
      throw new InfinitError('denied', `${hostOf(tokenUrl)} refuses ${what} (${wordOf(answer)})`, { hint });
    const seconds = Number(answer.expires_in ?? 3600);
    this.current = { token: answer.access_token, endsMs: parts.clock.monotonic() + seconds * 1000 - earlyMs };
    return this.current.token;
  }
}

/** The answer, whether it grants or refuses: both are JSON. */
function post(
  parts: HttpParts,
  url: string,
  form: Record<string, string>,
  options: Abortable,
): Promise<Record<string, unknown>> {
  return retrying(parts, hostOf(url), { ...options, patienceMs: readPatienceMs }, async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
    const body = [utf8(new URLSearchParams(form).toString())];
    const request = { method: 'POST', url, headers, body, responseBytesMax: limits.frameBytesMax };
    return parseJson((await ask(parts.http, request, options)).body);
  });
}

function refusal(url: string, answer: Record<string, unknown>): InfinitError {
  return new InfinitError('denied', `${hostOf(url)} refuses to sign in (${wordOf(answer)})`);
}

/** The provider's word for why, never anything secret. */
function wordOf(answer: Record<string, unknown>): string {
  const { error } = answer;
  return typeof error === 'string' ? error.slice(0, 64).replace(/[^\w.-]/g, ' ') : 'no reason given';
}
