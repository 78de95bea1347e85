// Signing in on the page, and the page. The program signs a request for a link, as any other; whoever opens the link within minutes
// gets a session that reads and changes nothing. The hub keeps hashes of codes and sessions only.

import { toHex, utf8 } from '../../../base/bytes.ts';
import { limits } from '../../../base/limits.ts';
import { labelledHash } from '../../../crypto/hash.ts';
import type { HubRequest, HubStore, Ticket } from '../../hub.ts';
import type { Answer, Call } from '../call.ts';
import { Refusal } from '../refusal.ts';
import { overviewOf } from './overview.ts';
import { loginPage, messagePage, overviewPage, signInPage } from './pages.ts';
import { style } from './style.ts';

const cookie = 'infinit-session';

/** A code for the link, good once; the one before ends. */
export async function webLogin(call: Call): Promise<Answer> {
  const user = call.self();
  const code = toHex(call.random.bytes(32));
  await call.store.transaction(user, async (store) => {
    await store.deleteTickets(user, 'code', 0);
    await store.putTicket(hashOf(code), { user, kind: 'code', until_ms: call.nowMs + limits.hubWebCodeMs });
  });
  return { status: 200, body: { code, seconds: limits.hubWebCodeMs / 1000 } };
}

/** Where the link leads: a button, so that looking at the link uses nothing up. */
export async function showLogin(call: Call): Promise<Answer> {
  const code = new URLSearchParams(call.request.query).get('code') ?? '';
  const ticket = await validTicket(call.store, code, 'code', call.nowMs);
  return htmlAnswer(ticket === undefined ? endedPage() : loginPage(code, ticket.user));
}

export async function takeLogin(call: Call): Promise<Answer> {
  const code = formField(call.request, 'code');
  const ticket = await validTicket(call.store, code, 'code', call.nowMs);
  if (ticket === undefined || !(await call.store.deleteTicket(hashOf(code))))
    throw new Refusal(403, { error: 'web/invalid_code', reason: 'the link is not right, was used, or has ended' });
  const session = toHex(call.random.bytes(32));
  const { user } = ticket;
  await call.store.transaction(user, async (store) => {
    await store.deleteTickets(user, 'session', limits.hubWebSessionsMax - 1);
    const until_ms = call.nowMs + limits.hubWebSessionMs;
    await store.putTicket(hashOf(session), { user, kind: 'session', until_ms });
  });
  return elsewhere('/web', { 'set-cookie': cookieOf(call, session, limits.hubWebSessionMs / 1000) });
}

export async function logout(call: Call): Promise<Answer> {
  await call.store.deleteTicket(hashOf(sessionOf(call.request)));
  return elsewhere('/web', { 'set-cookie': cookieOf(call, '', 0) });
}

export async function showOverview(call: Call): Promise<Answer> {
  if (call.maybeCaller === undefined) return htmlAnswer(signInPage());
  return htmlAnswer(overviewPage(call.caller.name, await overviewOf(call), call.nowMs));
}

export async function showConfirmed(): Promise<Answer> {
  return htmlAnswer(messagePage('Confirmed', 'The address is confirmed. You may close this page.'));
}

export async function showStyle(): Promise<Answer> {
  return { status: 200, raw: { type: 'text/css; charset=utf-8', content: utf8(style) } };
}

/** Name of whoever is signed in by the cookie of the request. */
export async function sessionUser(store: HubStore, request: HubRequest, nowMs: number): Promise<string | undefined> {
  return (await validTicket(store, sessionOf(request), 'session', nowMs))?.user;
}

export function htmlAnswer(text: string): Answer {
  return { status: 200, raw: { type: 'text/html; charset=utf-8', content: utf8(text) } };
}

/** After a form: to another page, so that loading it again sends nothing again. */
export function elsewhere(location: string, headers: Record<string, string> = {}): Answer {
  return { ...htmlAnswer(''), status: 303, headers: { location, ...headers } };
}

export function formField({ body }: Pick<HubRequest, 'body'>, name: string): string {
  return new URLSearchParams(body.toString('latin1')).get(name) ?? '';
}

async function validTicket(store: HubStore, secret: string, kind: Ticket['kind'], nowMs: number) {
  if (!/^[0-9a-f]{64}$/.test(secret)) return undefined;
  const ticket = await store.ticket(hashOf(secret));
  return ticket?.kind === kind && ticket.until_ms > nowMs ? ticket : undefined;
}

function sessionOf({ headers }: HubRequest): string {
  const found = (headers.cookie ?? '').split(/; */).find((pair) => pair.startsWith(`${cookie}=`));
  return found?.slice(cookie.length + 1) ?? '';
}

function cookieOf({ settings }: Call, value: string, seconds: number): string {
  const secure = settings.isSecure ? '; Secure' : '';
  return `${cookie}=${value}; Path=/web; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
}

function endedPage(): string {
  return messagePage(
    'This link has ended',
    'It was used, or is older than five minutes. Ask for another: infinit hub open',
  );
}

function hashOf(secret: string): string {
  return toHex(labelledHash('hub-web-ticket', utf8(secret)));
}
