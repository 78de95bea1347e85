// Signing in to a provider of object stores by its own web page: from a registered application to the secret that is kept.

import type { Abortable } from '../base/lifecycle.ts';
import { dropboxTokenUrl } from './objects/dropbox/dropbox.ts';
import { googleSignIn } from './objects/google/google-drive.ts';
import { signInByCode, signInByDevice } from './objects/oauth.ts';
import type { HttpParts } from './objects/requests.ts';

/** With the code from Dropbox's page. Throws `denied`. */
export async function signInToDropbox(
  parts: HttpParts,
  { appKey, appSecret, code }: { appKey: string; appSecret: string; code: string },
): Promise<Record<string, string>> {
  const client = { id: appKey, secret: appSecret };
  const refreshToken = await signInByCode(parts, dropboxTokenUrl, client, code);
  return { app_key: appKey, app_secret: appSecret, refresh_token: refreshToken };
}

/** Shows an address and a code, and waits until a person entered it there on any device. Throws `denied`, `unavailable`. */
export async function signInToGoogleDrive(
  parts: HttpParts,
  { clientId, clientSecret }: { clientId: string; clientSecret: string },
  show: (url: string, code: string) => void,
  options: Abortable = {},
): Promise<Record<string, string>> {
  const client = { id: clientId, secret: clientSecret };
  const refreshToken = await signInByDevice(parts, googleSignIn, client, show, options);
  return { client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken };
}
