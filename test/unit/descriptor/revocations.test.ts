import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { limits } from '../../../src/core/base/limits.ts';
import type { PassportDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { getLink, linkNetwork } from '../../../src/core/descriptor/links.ts';
import { createNetwork, getNetwork, updateNetwork } from '../../../src/core/descriptor/networks.ts';
import { createPassport, listPassports } from '../../../src/core/descriptor/passports.ts';
import { revokePassports } from '../../../src/core/descriptor/revocations.ts';
import { isRevoked } from '../../../src/core/descriptor/rights.ts';
import { signNetwork, verifyNetwork } from '../../../src/core/descriptor/signing.ts';
import { createUser, getUser, userKeyPair } from '../../../src/core/descriptor/users.ts';
import { failsWith, newDevice, start, type TestDevice } from './support.ts';

interface Scene {
  device: TestDevice;
  pass(user: string, as?: string): Promise<PassportDescriptor>;
  revoke(user: string, as?: string): ReturnType<typeof revokePassports>;
}

async function scene(t: TestContext): Promise<Scene> {
  const device = await newDevice(t);
  for (const name of ['alice', 'bob', 'carol']) await createUser(device, { name });
  await createNetwork(device, { as: 'alice', name: 'n' });
  const network = 'alice/n';
  return {
    device,
    pass: async (user, as = 'alice') =>
      (await createPassport(device, { as, network, user, allowCreatePassport: as === 'alice' })).passport,
    revoke: (user, as = 'alice') => revokePassports(device, { as, network, user }),
  };
}

test('every passport a user has ends, those the owner has replaced too; one made afterwards counts', async (t) => {
  const { device, pass, revoke } = await scene(t);
  const [first, second] = [await pass('bob'), await pass('bob')];
  const others = await pass('carol');
  const { network, user, through } = await revoke('bob');
  verifyNetwork(network);
  assert.deepEqual([user, through, network.serial], ['bob', start / 1000 + 1, 2]);
  assert.deepEqual(
    [first, second, others].map((one) => isRevoked(network, one)),
    [true, true, false],
  );
  assert.deepEqual(await listPassports(device, 'alice'), [{ network: 'alice/n', user: 'carol' }]);
  assert.deepEqual(await getNetwork(device, 'alice', 'n'), network);
  assert.deepEqual((await getLink(device, 'alice', 'n')).network, network);
  const third = await pass('bob');
  assert.equal(isRevoked(network, third), false);
  const again = await revoke('bob');
  assert.equal(again.network.revoked?.length, 1);
  assert.equal(isRevoked(again.network, third), true);
});

test('passports the owner never saw end too: those of a delegate', async (t) => {
  const { device, pass, revoke } = await scene(t);
  await pass('bob');
  await linkNetwork(device, { as: 'bob', name: 'alice/n' });
  const delegated = await pass('carol', 'bob');
  await device.repository.delete('passport', 'alice/n/carol');
  const { network } = await revoke('carol');
  assert.equal(isRevoked(network, delegated), true);
});

test('an update of the network keeps who is revoked', async (t) => {
  const { device, pass, revoke } = await scene(t);
  const passport = await pass('bob');
  await revoke('bob');
  const updated = await updateNetwork(device, { as: 'alice', name: 'n', description: 'new' });
  assert.equal(isRevoked(updated, passport), true);
});

test('only the owner revokes, nobody revokes him, and the list has an end', async (t) => {
  const { device, pass, revoke } = await scene(t);
  await pass('bob');
  await assert.rejects(revoke('carol', 'bob'), failsWith('denied', /"bob" does not own network "alice\/n"/));
  await assert.rejects(revoke('alice'), failsWith('usage', /"alice" owns network "alice\/n"/));
  await assert.rejects(revoke('nobody'), failsWith('not-found', /user "nobody" does not exist/));
  const { signature: _, ...known } = await getNetwork(device, 'alice', 'n');
  const revoked = Array.from({ length: limits.revokedUsersMax }, (__, i) => ({
    user: { ed25519: Buffer.alloc(32, i).toString('base64') },
    through: 1,
  }));
  const owner = userKeyPair(await getUser(device, 'alice'));
  await device.repository.put('network', 'alice/n', signNetwork(owner, { ...known, revoked }), { replace: true });
  await assert.rejects(revoke('bob'), failsWith('full', /names 200 users as revoked, which is the limit/));
});
