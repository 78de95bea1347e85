// The way to one's page on the hub.

import { InfinitError } from '../../base/errors.ts';
import { integer, matching, object } from '../../descriptor/check.ts';
import { userPath } from './paths.ts';
import type { Sharing } from './sharing.ts';

const answered = object<{ code: string; seconds: number }>(
  { code: matching(64, (code) => /^[0-9a-f]{64}$/.test(code), 'a code'), seconds: integer(1, 86_400) },
  {},
);

/** A code that signs in there, once, for so many seconds. */
export async function openPage({ hub, as }: Sharing): Promise<{ code: string; seconds: number }> {
  const what = `opening the page of user "${as}"`;
  const answer = await hub.client.ask('POST', userPath(as, 'web_login'), { what });
  try {
    return answered(answer, '');
  } catch (cause) {
    throw new InfinitError('corrupt', 'the hub gives no code for its page', { cause });
  }
}
