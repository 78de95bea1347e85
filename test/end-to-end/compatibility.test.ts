// Homes that releases left behind, whole: descriptors, keys, silos with blocks, registers and journals, the state of a node. Every
// later release opens them and finds everything. UPDATE_GOLDEN=1 makes the one of this release anew.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Device, Lab, run } from './device.ts';

const folder = fileURLToPath(new URL('../golden/homes', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const large = Buffer.alloc(200_000, 'All work and no play makes Jack a dull boy. ').toString();
const listen = ['--listen', '127.0.0.1'];

/** What the volume holds, as operations that make it. */
const making = [
  { operation: 'mkdir', path: '/folder' },
  { operation: 'write_file', path: '/folder/small', content: 'a few words' },
  { operation: 'write_file', path: '/large', content: large },
  { operation: 'write_file', path: '/ünïcödé \u{1f600}', content: '' },
  { operation: 'symlink', path: '/link', target: 'folder/small' },
  { operation: 'link', path: '/folder/small', target: '/folder/hard' },
  { operation: 'setxattr', path: '/folder/small', name: 'user.colour', value: 'blue' },
  { operation: 'chmod', path: '/large', mode: 0o640 },
];

/** And questions, with what must come back. */
const asking: (readonly [Record<string, unknown>, Record<string, unknown>])[] = [
  [{ operation: 'read_file', path: '/folder/small' }, { content: 'a few words' }],
  [{ operation: 'read_file', path: '/folder/hard' }, { content: 'a few words' }],
  [{ operation: 'read_file', path: '/large' }, { content: large }],
  [{ operation: 'read_file', path: '/ünïcödé \u{1f600}' }, { content: '' }],
  [{ operation: 'readlink', path: '/link' }, { target: 'folder/small' }],
];

async function volumeScript(device: Device, requests: readonly unknown[]): Promise<Record<string, unknown>[]> {
  const input = requests.map((request) => `${JSON.stringify(request)}\n`).join('');
  const output = await device.run(['volume', 'run', 'shared', '--script', ...listen], input);
  return output.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function make(lab: Lab): Promise<void> {
  const device = lab.device('maker', 'alice');
  await device.run(['user', 'create', 'alice', '--description', 'of an older release']);
  await device.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '64MiB']);
  await device.run(['network', 'create', 'cluster', '--silo', 'disk']);
  await device.run(['volume', 'create', 'shared', '--network', 'cluster']);
  await device.run(['key-value-store', 'create', 'settings', '--network', 'cluster']);
  const node = await device.startNode('cluster');
  const made = await volumeScript(device, making);
  assert.ok(
    made.every(({ success }) => success === true),
    JSON.stringify(made),
  );
  await device.run(['key-value-store', 'put', 'settings', 'colour', '--value', 'blue']);
  await device.run(['key-value-store', 'put', 'settings', 'gone', '--value', 'x']);
  await device.run(['key-value-store', 'delete', 'settings', 'gone']);
  await node.stop();
  mkdirSync(folder, { recursive: true });
  const words = [
    '-C',
    device.home,
    '--sparse',
    '--exclude=./run',
    '--exclude=*.pid',
    '-cJf',
    join(folder, `${version}.tar.xz`),
    '.',
  ];
  await run('tar', words);
}

/** The home of a release, in a place of its own. */
async function homeOf(lab: Lab, archive: string): Promise<Device> {
  const device = lab.device(archive, 'alice');
  await run('tar', ['-C', device.home, '-xJf', join(folder, archive)]);
  const silo = join(device.folders.data, 'silos/disk');
  const descriptor = JSON.parse(readFileSync(silo, 'utf8')) as Record<string, unknown>;
  writeFileSync(silo, JSON.stringify({ ...descriptor, path: device.siloFolder('disk') }));
  return device;
}

describe('homes of releases', { timeout: 300_000 }, () => {
  const lab = new Lab();
  after(() => lab.close());
  const archives = existsSync(folder) ? readdirSync(folder) : [];

  test('there is one of this release', async () => {
    if (process.env.UPDATE_GOLDEN) await make(lab);
    assert.ok(existsSync(join(folder, `${version}.tar.xz`)));
  });

  for (const archive of archives)
    test(`${archive}: everything is there, and goes on being written`, async () => {
      const device = await homeOf(lab, archive);
      assert.match(await device.run(['network', 'list']), /alice\/cluster.*: linked/);
      const node = await device.startNode('cluster');
      for (const [at, answer] of (
        await volumeScript(
          device,
          asking.map(([question]) => question),
        )
      ).entries()) {
        const wanted = { ...asking[at]?.[1], success: true };
        const got = Object.fromEntries(Object.keys(wanted).map((field) => [field, answer[field]]));
        assert.deepEqual(got, wanted, JSON.stringify(asking[at]?.[0]));
      }
      const [stat, attribute, list] = await volumeScript(device, [
        { operation: 'stat', path: '/large' },
        { operation: 'getxattr', path: '/folder/small', name: 'user.colour' },
        { operation: 'list_directory', path: '/' },
      ]);
      assert.equal(Number(stat?.st_mode) & 0o777, 0o640, JSON.stringify(stat));
      assert.equal(attribute?.value, 'blue', JSON.stringify(attribute));
      assert.deepEqual((list?.entries as string[] | undefined)?.length, 4, JSON.stringify(list));
      assert.equal(await device.run(['key-value-store', 'get', 'settings', 'colour']), 'blue');
      assert.equal(await device.run(['key-value-store', 'list', 'settings']), 'colour');

      await volumeScript(device, [{ operation: 'write_file', path: '/new', content: 'by a later release' }]);
      await device.run(['key-value-store', 'put', 'settings', 'colour', '--value', 'green']);
      const [read] = await volumeScript(device, [{ operation: 'read_file', path: '/new' }]);
      assert.equal(read?.content, 'by a later release');
      assert.equal(await device.run(['key-value-store', 'get', 'settings', 'colour']), 'green');
      await node.stop();
      const doctor = JSON.parse(await device.run(['doctor', 'configuration', '--script'])) as { sane: boolean };
      assert.equal(doctor.sane, true, JSON.stringify(doctor));
    });
});
