// The hub as a process of its own: opens its database, serves until stopped.

import { dirname } from 'node:path';
import { asBuffer, utf8 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import type { Running } from '../cli/running.ts';
import type { PublicKeyJson } from '../descriptor/descriptor.ts';
import { openLdap, parseLdapUrl } from '../hub/directory/ldap.ts';
import type { HubStore } from '../hub/hub.ts';
import { DirectoryPasswords } from '../hub/server/directory.ts';
import { parseSmtpUrl, SmtpMailer } from '../hub/server/mail.ts';
import { serveHub } from '../hub/server/server.ts';
import { SqlHubStore } from '../hub/server/sql-store.ts';
import { isPostgres } from '../runtime/system/databases.ts';
import { stopped } from './serving.ts';

export const runHub: Running['runHub'] = async (options) => {
  const { runtime } = options.context;
  const { ldap } = options;
  if (ldap !== undefined) parseLdapUrl(ldap.url);
  if (!isPostgres(options.database)) await runtime.files.makeDirectory(dirname(options.database));
  const store = await SqlHubStore.open(await runtime.databases.open(options.database));
  try {
    const server = await serveHub({
      runtime,
      store,
      listen: { host: options.host, port: options.port },
      url: options.url,
      isSecure: options.tls !== undefined || options.url?.startsWith('https:'),
      mailer: options.smtp === undefined ? undefined : new SmtpMailer(parseSmtpUrl(options.smtp), runtime),
      host: options.url === undefined ? undefined : new URL(options.url).host,
      passportsPerNetworkMax: options.passportsPerNetworkMax,
      directory: ldap === undefined ? undefined : new DirectoryPasswords(() => openLdap(ldap), runtime.clock),
      administrators: await administratorsOf(store, options.administrators ?? []),
      tls: options.tls && { certificate: asBuffer(options.tls.certificate), key: asBuffer(options.tls.key) },
    });
    try {
      if (options.portFile !== undefined) await runtime.files.replace(options.portFile, utf8(`${server.port}\n`));
      options.ready({ url: options.url ?? server.url, pid: process.pid });
      await stopped(options.signal);
    } finally {
      await server.close();
    }
  } finally {
    await store.close();
  }
};

/** By the keys they have now: who takes the name later is another. */
async function administratorsOf(store: HubStore, names: readonly string[]): Promise<Map<string, PublicKeyJson>> {
  const keys = new Map<string, PublicKeyJson>();
  for (const name of names) {
    const user = await store.get('user', name);
    if (user === undefined)
      throw new InfinitError('not-found', `user "${name}" does not exist on this hub`, {
        hint: 'sign up first, with the hub running without --admin',
      });
    keys.set(name, user.public_key);
  }
  return keys;
}
