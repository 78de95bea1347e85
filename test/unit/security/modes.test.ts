// Files of a home are for its user alone, also those that libraries make.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isError } from '../../../src/core/base/errors.ts';
import { systemRuntime } from '../../../src/core/runtime/system/system.ts';

test('databases and locks are readable by their user alone', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'infinit-modes-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { databases, files } = systemRuntime();
  const database = await databases.open(join(folder, 'node.sqlite'));
  await database.exec('create table t (x)');
  await database.run('insert into t values (1)');
  const lock = await files.lock(join(folder, 'node.lock'));
  const names = readdirSync(folder);
  for (const name of ['node.sqlite', 'node.sqlite-wal', 'node.lock']) assert.ok(names.includes(name), name);
  for (const name of names) assert.equal(statSync(join(folder, name)).mode & 0o077, 0, name);
  // Trying again neither succeeds nor loosens the lock.
  for (let tries = 0; tries < 2; tries++)
    await assert.rejects(files.lock(join(folder, 'node.lock')), (error) => isError(error, 'exists'));
  await lock.release();
  await database.close();
});
