// The suite of the hub's store over each database.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { SqlHubStore } from '../../src/core/hub/server/sql-store.ts';
import { systemDatabases } from '../../src/core/runtime/system/databases.ts';
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
