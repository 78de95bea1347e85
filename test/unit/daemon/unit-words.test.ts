import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkWords, volumeWords } from '../../../src/core/daemon/unit-words.ts';

const none = { endpoints: { fetch: false, push: false } };
const all = {
  ...{ mountRoot: '/all', advertiseHosts: ['desk', 'lap'], portMapping: true, mdns: true },
  endpoints: { fetch: true, push: true },
};
const told = ['--advertise-host', 'desk', '--advertise-host', 'lap', '--port-mapping'];
const presence = [...told, '--mdns', '--fetch-endpoints', '--push-endpoints'];
const mount = ['volume', 'mount', 'v'];

test('a node is run as the daemon is told to present it', () => {
  assert.deepEqual(networkWords('alice/n', none), ['network', 'run', 'alice/n']);
  assert.deepEqual(networkWords('alice/n', all), ['network', 'run', 'alice/n', ...presence]);
});

test('a mount without a place gets one below the root; what words say stands', () => {
  const volume = { name: 'alice/v', hasMountpoint: false };
  assert.deepEqual(volumeWords(volume, mount, none), [...mount, '--monitoring']);
  assert.deepEqual(volumeWords(volume, mount, all), [
    ...mount,
    '--mountpoint',
    '/all/alice/v',
    '--monitoring',
    ...presence,
  ]);
  for (const place of [['--mountpoint', '/m'], ['--mountpoint=/m'], ['-m', '/m'], ['-m/m']])
    assert.deepEqual(volumeWords(volume, [...mount, ...place], all), [...mount, ...place, '--monitoring', ...presence]);
  assert.deepEqual(volumeWords({ ...volume, hasMountpoint: true }, mount, all), [
    ...mount,
    '--monitoring',
    ...presence,
  ]);
  for (const said of ['--mdns', '--mdns=false', '--no-mdns'])
    assert.deepEqual(volumeWords({ ...volume, hasMountpoint: true }, [...mount, said], all), [
      ...[...mount, said, '--monitoring', ...told],
      ...['--fetch-endpoints', '--push-endpoints'],
    ]);
  const quiet = [...mount, '--monitoring=false'];
  assert.deepEqual(volumeWords(volume, quiet, none), quiet);
});
