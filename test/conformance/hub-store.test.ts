// The suite of the hub's store over each database.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import { SqlHubStore } from '../../src/core/hub/server/sql-store.ts';
import { systemDatabases } from '../../src/core/runtime/system/databases.ts';
import { noPostgres, PostgresServer } from '../fakes/postgres.ts';
import { hubStoreConformance } from './hub-store.ts';

const folder = await mkdtemp(join(tmpdir(), 'infinit-hub-'));
after(() => rm(folder, { recursive: true, force: true }));

let made = 0;
const openSqlite = async () => SqlHubStore.open(await systemDatabases.open(join(folder, `${made}.sqlite`)));
hubStoreConformance('sqlite', {
  make: () => {
    made++;
    return openSqlite();
  },
  share: openSqlite,
});

describe('PostgreSQL', { skip: noPostgres() }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await PostgresServer.start();
  });
  after(() => server.stop());
  let address = '';
  const open = async () => SqlHubStore.open(await systemDatabases.open(address));
  hubStoreConformance('PostgreSQL', {
    make: () => {
      address = server.create(`hub${made++}`);
      return open();
    },
    share: open,
  });
});
