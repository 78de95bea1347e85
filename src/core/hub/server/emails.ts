// Proving that an e-mail address is a user's: a code is sent there, and whoever has the code confirms. The page a link in the mail leads
// to changes nothing by itself; its button does.

import { toHex, utf8 } from '../../base/bytes.ts';
import { limits } from '../../base/limits.ts';
import { labelledHash } from '../../crypto/hash.ts';
import { object, text } from '../../descriptor/check.ts';
import type { Answer, Call } from './call.ts';
import { claimInvitations } from './claims.ts';
import * as letters from './letters.ts';
import { confirmedAddress, postOf } from './post.ts';
import { notFound, Refusal, tooOften } from './refusal.ts';
import { elsewhere, formField, htmlAnswer } from './web/handlers.ts';
import { confirmPage } from './web/pages.ts';

const codeBody = object<{ confirmation_code: string }>({ confirmation_code: text(100) }, {});

/** Sends a code to the caller's address; an earlier one ends. */
export async function sendConfirmation(call: Call): Promise<Answer> {
  const name = call.self();
  const post = postOf(call);
  const email = (await call.store.get('user', name))?.email;
  if (email === undefined)
    throw new Refusal(404, { error: 'email/not_found', reason: `user "${name}" has no e-mail address`, name });
  const code = toHex(call.random.bytes(16));
  const wait = await call.store.transaction(name, async (store) => {
    const before = await store.confirmation(name);
    const next = (before?.sent_ms ?? 0) + limits.hubMailPeriodMs;
    if (next > call.nowMs) return next - call.nowMs;
    await store.setConfirmation(name, { email, code_hash: hashOf(code), sent_ms: call.nowMs, confirmed: false });
    return 0;
  });
  if (wait > 0) throw tooOften(wait, 'a code was sent a moment ago: try again later');
  await post.send(name, letters.confirmation(email, name, code, call.settings.url));
  return { status: 200, body: {} };
}

/** Where the link in the mail leads: a button that sends the code. */
export async function confirmationPage(call: Call): Promise<Answer> {
  call.name('user');
  const code = new URLSearchParams(call.request.query).get('code') ?? '';
  const safe = /^[0-9a-f]{32}$/.test(code) ? code : '';
  return htmlAnswer(confirmPage(safe));
}

/** Whoever has the code; as JSON, or as the page's form. */
export async function confirmEmail(call: Call): Promise<Answer> {
  const name = call.name('user');
  const { headers } = call.request;
  const isForm = /^application\/x-www-form-urlencoded/i.test(headers['content-type'] ?? '');
  const code = isForm ? formField(call.request, 'confirmation_code') : call.fields(codeBody).confirmation_code;
  const email = await call.store.transaction(name, async (store) => {
    const known = await store.confirmation(name);
    const isRight = known?.code_hash === hashOf(code) && known.sent_ms + limits.hubCodeMs > call.nowMs;
    if (known === undefined || !isRight)
      throw new Refusal(403, { error: 'email/invalid_code', reason: 'the code is not right, or has ended', name });
    await store.setConfirmation(name, { ...known, confirmed: true });
    return known.email;
  });
  const user = await call.store.get('user', name);
  if (user?.email === email) await claimInvitations(call, user, email.toLowerCase());
  return isForm ? elsewhere('/web/confirmed') : { status: 200, body: {} };
}

/** For the user: 404 until the address he has now is confirmed. */
export async function emailConfirmed(call: Call): Promise<Answer> {
  const name = call.self();
  const email = await confirmedAddress(call.store, name);
  if (email !== undefined) return { status: 200, body: {} };
  throw notFound('email', (await call.store.get('user', name))?.email ?? name);
}

function hashOf(code: string): string {
  return toHex(labelledHash('hub-email-code', utf8(code)));
}
