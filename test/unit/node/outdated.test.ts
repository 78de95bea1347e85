import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NetworkDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { createNetwork, updateNetwork } from '../../../src/core/descriptor/networks.ts';
import { signNetwork } from '../../../src/core/descriptor/signing.ts';
import { createFilesystemSilo } from '../../../src/core/descriptor/silos.ts';
import { createUser, getUser, userKeyPair } from '../../../src/core/descriptor/users.ts';
import { type Context, openLinkedNode } from '../../../src/core/node/link.ts';
import { outdatedBy } from '../../../src/core/node/outdated.ts';
import { found, newDevice } from '../descriptor/support.ts';

const network = { name: 'alice/n', version: '1.0.0', overlay: { type: 'chord' } } as NetworkDescriptor;

test('another overlay, and a version that is not spoken, end a node', () => {
  assert.equal(outdatedBy(network, network), undefined);
  assert.equal(outdatedBy(network, { ...network, version: '0.9.0' }), undefined);
  const overlay = outdatedBy(network, { ...network, overlay: { type: 'kouncil' } } as NetworkDescriptor);
  assert.deepEqual([overlay?.kind, overlay?.hint], ['conflict', 'start again']);
  for (const version of ['1.0.1', '1.10.0', '2.0.0']) {
    const newer = outdatedBy(network, { ...network, version });
    assert.equal(newer?.kind, 'unsupported');
    assert.equal(newer?.message, `network "alice/n" has version ${version}, this is 1.0.0`);
  }
});

test('a network of a newer version is not joined; its descriptor can be had', async (t) => {
  const device = await newDevice(t);
  await createUser(device, { name: 'alice' });
  await createFilesystemSilo(device, { name: 'disk' });
  const { network: today } = await createNetwork(device, {
    as: 'alice',
    name: 'n',
    silos: ['disk'],
    found,
    version: '0.9.0',
  });
  assert.equal(today.version, '0.9.0');
  const upgraded = await updateNetwork(device, { as: 'alice', name: 'n', version: '1.0.0' });
  assert.deepEqual([upgraded.version, upgraded.serial], ['1.0.0', today.serial + 1]);
  await assert.rejects(
    updateNetwork(device, { as: 'alice', name: 'n', version: '0.9.0' }),
    /has version 1\.0\.0 already/,
  );
  await assert.rejects(updateNetwork(device, { as: 'alice', name: 'n', version: '1.0.1' }), { kind: 'usage' });

  const { signature: _, ...unsigned } = upgraded;
  const pair = userKeyPair(await getUser(device, 'alice'));
  const newer = signNetwork(pair, { ...unsigned, version: '7.0.0', serial: unsigned.serial + 1 });
  await device.repository.put('network', 'alice/n', newer, { replace: true });
  const link = await device.repository.get('linked-network', 'alice/alice/n');
  await device.repository.put('linked-network', 'alice/alice/n', { ...link, network: newer }, { replace: true });
  const context = device as unknown as Context;
  for (const role of ['storage', 'client', 'either'] as const)
    await assert.rejects(openLinkedNode({ context, as: 'alice', network: 'n', role }), {
      kind: 'unsupported',
      message: 'network "alice/n" has version 7.0.0, this is 1.0.0',
      hint: 'install a newer infinit on this device',
    });
});
