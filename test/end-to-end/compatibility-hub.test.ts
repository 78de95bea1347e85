// A hub's database and a silo that mirrors two others, as releases left them behind. Every later release opens them and finds
// everything. UPDATE_GOLDEN=1 makes those of this release anew.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Device, Lab, run } from './device.ts';
import { Hub } from './hub.ts';

const folder = fileURLToPath(new URL('../golden/hubs', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const words = (line: string) => line.split(' ');
const listen = words('--listen 127.0.0.1');
const gif = Buffer.from('GIF89a and so on');
const silos = ['one', 'two'];

/** What is of a machine or of a moment. */
const left = ['--exclude=./*/run', '--exclude=*.pid', '--exclude=*.sqlite-shm'];

async function make(lab: Lab): Promise<void> {
  const hub = new Hub(lab);
  await hub.start();
  const [alice, bob] = [lab.device('alice', 'alice'), lab.device('bob', 'bob')];
  for (const device of [alice, bob]) device.environment = hub.environment;
  await alice.run(words('user signup alice --email alice@example.org --full'), 'correct horse\n');
  await bob.run(words('user signup bob'));
  for (const silo of silos) await alice.run(words(`silo create filesystem ${silo} --capacity 64MiB`));
  await alice.run(words('silo create mirror both --silo one --silo two'));
  await alice.run(words('network create cluster --silo both --push'));
  await alice.run(words('volume create shared --network cluster --default-permissions rw --push'));
  await alice.run(words('key-value-store create settings --network cluster --push'));
  writeFileSync(join(alice.home, 'icon.gif'), gif);
  const icon = ['--icon', join(alice.home, 'icon.gif')];
  await alice.run([...words('drive create family --network cluster --volume shared --push'), ...icon]);
  await alice.run(words('drive invite family --user bob --passport --push'));
  await volumeScript(alice, { operation: 'write_file', path: '/kept', content: 'on both' });
  assert.equal(await hub.stop(), 0);
  for (const device of [hub.device, alice])
    cpSync(device.home, join(lab.folder, 'made', device.name), { recursive: true });
  mkdirSync(folder, { recursive: true });
  await run('tar', [
    '-C',
    join(lab.folder, 'made'),
    '--sparse',
    ...left,
    '-cJf',
    join(folder, `${version}.tar.xz`),
    '.',
  ]);
}

async function volumeScript(device: Device, request: object): Promise<Record<string, unknown>> {
  const line = `${JSON.stringify(request)}\n`;
  return JSON.parse(await device.run([...words('volume run shared --script'), ...listen], line));
}

/** Silos are where the home is now. */
function moved(device: Device): void {
  const place = join(device.folders.data, 'silos');
  const { path } = JSON.parse(readFileSync(join(place, 'one'), 'utf8')) as { path: string };
  const before = path.slice(0, path.indexOf('/.local/share/'));
  for (const name of readdirSync(place)) {
    const text = readFileSync(join(place, name), 'utf8');
    writeFileSync(join(place, name), text.replaceAll(before, device.home));
  }
}

describe('hubs and mirrors of releases', { timeout: 600_000 }, () => {
  const lab = new Lab();
  after(() => lab.close());
  const archives = existsSync(folder) ? readdirSync(folder) : [];

  test('there are those of this release', async () => {
    if (process.env.UPDATE_GOLDEN) await make(lab);
    assert.ok(existsSync(join(folder, `${version}.tar.xz`)));
  });

  for (const archive of archives)
    test(`${archive}: everything is there, and goes on being written`, async () => {
      const place = `opened-${archive}`;
      const hub = new Hub(lab, `${place}/hub`);
      const alice = lab.device(`${place}/alice`, 'alice');
      await run('tar', ['-C', join(lab.folder, place), '-xJf', join(folder, archive)]);
      moved(alice);
      await hub.start();
      alice.environment = hub.environment;
      assert.deepEqual((await volumeScript(alice, { operation: 'read_file', path: '/kept' })).content, 'on both');
      const written = await volumeScript(alice, { operation: 'write_file', path: '/new', content: 'by a later one' });
      assert.equal(written.success, true, JSON.stringify(written));

      // All that the hub has comes to a new machine of hers, by her password.
      const fresh = lab.device(`${place}/fresh`, 'alice');
      fresh.environment = hub.environment;
      await fresh.run(words('user login alice'), 'correct horse\n');
      for (const kind of ['network', 'volume', 'key-value-store', 'drive']) await fresh.run([kind, 'fetch']);
      await fresh.run(words('passport fetch --network cluster'));
      for (const what of ['network cluster', 'volume shared', 'key-value-store settings', 'drive family']) {
        const [kind = '', name = ''] = words(what);
        assert.equal(await fresh.run([kind, 'export', name]), await alice.run([kind, 'export', name]), what);
      }
      assert.equal(await fresh.run(words('passport list')), 'alice/cluster: bob');
      assert.deepEqual(readFileSync(join(fresh.folders.cache, 'icons/alice/family')), gif);
      await fresh.run(words('volume create later --network cluster --push'));
      await alice.run(words('volume fetch alice/later'));
      assert.equal(await hub.stop(), 0);
    });
});
