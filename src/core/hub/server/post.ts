// Mail of the hub, bounded: so much on behalf of one user, so much to one address. What it says is letters.ts's.

import { limits } from '../../base/limits.ts';
import type { Clock } from '../../runtime/runtime.ts';
import type { HubStore } from '../hub.ts';
import type { Call } from './call.ts';
import type { Mail, Mailer } from './mail.ts';
import { Rates } from './rates.ts';
import { Refusal, tooOften } from './refusal.ts';

export class Post {
  private readonly mailer: Mailer;
  private readonly clock: Pick<Clock, 'monotonic'>;
  private readonly byUser = new Rates(limits.hubMailUserRate);
  private readonly byAddress = new Rates(limits.hubMailAddressRate);

  constructor(mailer: Mailer, clock: Pick<Clock, 'monotonic'>) {
    this.mailer = mailer;
    this.clock = clock;
  }

  /** Resolves when the mail server has it. Throws a refusal when there was too much, else what the mailer throws. */
  async send(user: string, mail: Mail): Promise<void> {
    const nowMs = this.clock.monotonic();
    const waitMs = this.byUser.take(user, nowMs) || this.byAddress.take(mail.to.toLowerCase(), nowMs);
    if (waitMs > 0) throw tooOften(waitMs, 'too much mail was sent: try again later');
    await this.mailer.send(mail);
  }
}

/** Throws 404 on a hub that sends no mail. */
export function postOf({ post }: Pick<Call, 'post'>): Post {
  if (post !== undefined) return post;
  throw new Refusal(404, { error: 'email/not_configured', reason: 'this hub sends no e-mail' });
}

/** The address a user has now, when it is confirmed. */
export async function confirmedAddress(store: HubStore, user: string): Promise<string | undefined> {
  const known = await store.confirmation(user);
  const email = (await store.get('user', user))?.email;
  return known?.confirmed && known.email === email ? email : undefined;
}

/** To a user who has an address; mail that is for his convenience only, whose failing changes nothing. */
export async function tell(call: Call, user: string, by: string, letter: (to: string) => Mail): Promise<void> {
  const to = call.post && (await confirmedAddress(call.store, user));
  if (to !== undefined) await call.post?.send(by, letter(to)).catch(() => {});
}
