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
import { meteredDatabase, watchStore } from '../hub/server/meter.ts';
import { serveHub } from '../hub/server/server.ts';
import { SqlHubStore } from '../hub/server/sql-store.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { isPostgres } from '../runtime/system/databases.ts';
import { metered, openMetrics } from './metrics.ts';
import { stopped } from './serving.ts';

export const runHub: Running['runHub'] = async (given) => {
  const options = metered(given, {});
  const { runtime } = options.context;
  const { ldap } = options;
  if (ldap !== undefined) parseLdapUrl(ldap.url);
  if (!isPostgres(options.database)) await runtime.files.makeDirectory(dirname(options.database));
  const store = await openStore(runtime, options.database);
  const metrics = await openMetrics(options).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
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
      const url = options.url ?? server.url;
      options.ready({ url, pid: process.pid, ...(metrics && { metrics: metrics.endpoint }) });
      await stopped(options.signal);
    } finally {
      await server.close();
    }
  } finally {
    await metrics?.close();
    await store.close();
  }
};

async function openStore({ databases, files, clock, metrics }: Runtime, place: string): Promise<HubStore> {
  const database = await databases.open(place);
  if (metrics === undefined) return SqlHubStore.open(database);
  const store = await SqlHubStore.open(meteredDatabase(database, clock, metrics));
  const sizeOf = async (path: string) => (await files.stat(path))?.bytes ?? 0;
  const fileBytes = async () => (await sizeOf(place)) + (await sizeOf(`${place}-wal`));
  watchStore(metrics, store, clock, isPostgres(place) ? undefined : fileBytes);
  return store;
}

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
