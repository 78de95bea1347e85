// The package as a program uses it: the built library against a door of the built command.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { connectKeyValueStore as Connect } from '../../src/library.ts';
import { Lab } from './device.ts';

const lab = new Lab();
after(() => lab.close());

test('the library speaks to a door, and finds it again when it was restarted', { timeout: 120_000 }, async () => {
  const built = new URL('../../dist/library.mjs', import.meta.url).href;
  const { connectKeyValueStore, isError } = (await import(built)) as {
    connectKeyValueStore: typeof Connect;
    isError: (error: unknown, kind: string) => boolean;
  };
  const device = lab.device('one', 'alice');
  await device.run(['user', 'create', 'alice']);
  await device.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '1GB']);
  await device.run(['network', 'create', 'cluster', '--silo', 'disk']);
  await device.run(['key-value-store', 'create', 'settings', '--network', 'cluster']);
  const socket = join(device.home, 'run', 'settings.sock');
  const door = () =>
    device.start(['key-value-store', 'run', 'settings', '--listen', `unix:${socket}`], /^Running key-value/m);
  const first = await door();
  const store = await connectKeyValueStore({ socket });
  const changes = store.watch('');
  const watching = (async () => {
    for await (const change of changes) return `${change.type} ${Buffer.from(change.key)}`;
    return 'nothing';
  })();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const version = await store.put('colour', 'blue', { ifAbsent: true });
  assert.equal(await watching, 'put colour');
  await assert.rejects(store.put('colour', 'red', { ifAbsent: true }), (error: unknown) => isError(error, 'exists'));
  await store.put('colour', 'green', { ifVersion: version });
  await assert.rejects(store.put('colour', 'red', { ifVersion: version }), (error: unknown) =>
    isError(error, 'conflict'),
  );
  assert.equal(Buffer.from((await store.get('colour')).value).toString(), 'green');
  assert.equal(await first.stop(), 0);
  const second = await door();
  assert.equal(Buffer.from((await store.get('colour')).value).toString(), 'green');
  assert.deepEqual(
    (await store.list({ prefix: 'col' })).entries.map(({ key }) => Buffer.from(key).toString()),
    ['colour'],
  );
  assert.equal(await store.delete('colour'), true);
  await assert.rejects(store.get('colour'), (error: unknown) => isError(error, 'not-found'));
  await store.close();
  assert.equal(await second.stop(), 0);
});
