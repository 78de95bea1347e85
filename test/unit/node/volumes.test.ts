// Which options a mount has: what is kept with the volume, what is given for this time, and what another's volume may not say.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MountOptionsJson, VolumeDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { effectiveOptions, worldOf } from '../../../src/core/node/volumes.ts';

const volume = (mount_options: MountOptionsJson, default_permissions: '' | 'r' | 'rw' = ''): VolumeDescriptor => ({
  name: 'alice/v',
  network: 'alice/n',
  owner: { ed25519: '' },
  tree_id: '',
  block_size: 4096,
  default_permissions,
  mount_options,
  serial: 1,
  signature: '',
});

test('what is given replaces what is kept; words for the kernel are added', () => {
  const kept = volume({ readonly: true, cache: false, fuse_options: ['noatime'], mountpoint: '/a' });
  const given = { readonly: false, mountpoint: '/b', fuse_options: ['noexec'] };
  assert.deepEqual(effectiveOptions(kept, given, true), {
    options: { readonly: false, cache: false, mountpoint: '/b', fuse_options: ['noatime', 'noexec'] },
    refused: [],
  });
  assert.deepEqual(effectiveOptions(volume({}), {}, true), { options: {}, refused: [] });
});

test("another's volume opens nothing of this machine, unless its user says so", () => {
  const kept = volume({ fuse_options: ['suid', 'noatime', 'dev', 'allow_other'] });
  assert.deepEqual(effectiveOptions(kept, { fuse_options: ['allow_other'] }, false), {
    options: { fuse_options: ['noatime', 'allow_other'] },
    refused: ['suid', 'dev', 'allow_other'],
  });
  const hidden = volume({ fuse_options: ['noatime,suid', ' dev '] });
  assert.deepEqual(effectiveOptions(hidden, {}, false), {
    options: { fuse_options: ['noatime'] },
    refused: ['suid', 'dev'],
  });
  const announced = volume({ mdns: true });
  assert.deepEqual(effectiveOptions(announced, {}, false), { options: { mdns: false }, refused: ['mdns'] });
  assert.deepEqual(effectiveOptions(announced, { mdns: true }, false), { options: { mdns: true }, refused: [] });
  assert.deepEqual(effectiveOptions(announced, { mdns: false }, false), { options: { mdns: false }, refused: [] });
  assert.deepEqual(effectiveOptions(volume({ port_mapping: true }), {}, false), {
    options: { port_mapping: false },
    refused: ['port-mapping'],
  });
  assert.deepEqual(effectiveOptions(announced, {}, true), { options: { mdns: true }, refused: [] });
});

test('default permissions say what the network may do', () => {
  assert.deepEqual(
    (['', 'r', 'rw'] as const).map((given) => worldOf(volume({}, given))),
    [
      { read: false, write: false },
      { read: true, write: false },
      { read: true, write: true },
    ],
  );
});
