// What the original's guides have people type, word for word, beyond the start (flows.test.ts): drives for people who have signed up,
// people who let others in, and taking everything away, on the hub and here.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Device, eventually, type Running } from './device.ts';
import { Guide, needsGuide } from './guide.ts';

const running = /^Running volume "/m;

describe('drives, and who may let others in', { timeout: 900_000, ...needsGuide() }, () => {
  let guide: Guide;
  let alice: Device;
  let bob: Device;
  let charlie: Device;
  let hers: Running;
  before(async () => {
    guide = await Guide.open();
    await guide.startHub();
    [alice, bob, charlie] = ['alice', 'bob', 'charlie'].map((name) => guide.machine(name)) as [Device, Device, Device];
    for (const device of [alice, bob, charlie])
      await device.type(`infinit user signup --name ${device.user} --email ${device.user}@company.com`);
    await alice.type('infinit silo create filesystem --capacity 2GB --name local');
    await alice.type('infinit network create --as alice --silo local --name cluster --push');
    await alice.type(
      'infinit volume create --as alice --network cluster --name shared --default-permissions rw --push',
    );
    hers = await alice.typeAndWait(
      'infinit volume mount --as alice --name shared --mountpoint shared/ --publish',
      running,
    );
    await alice.type('echo "everything is" > shared/awesome.txt');
  });
  after(() => guide.close());

  test('two people are invited to a drive, and one joins', async () => {
    assert.equal(
      await alice.type(
        `infinit drive create --as alice --network cluster --volume shared --name workspace --description "Alice's, Bob's and Charlie's workspace" --push`,
      ),
      'Locally saved drive descriptor "alice/workspace".\nRemotely created drive descriptor "alice/workspace".',
    );
    assert.equal(
      await alice.type('infinit drive fetch --as alice'),
      'Locally already updated drive descriptor "alice/workspace".',
    );
    assert.equal(
      await alice.type('infinit drive list'),
      `alice/workspace "Alice's, Bob's and Charlie's workspace": ok`,
    );
    await alice.type('infinit user fetch --as alice --name bob');
    await alice.type('infinit passport create --as alice --network cluster --user bob --push');
    await alice.type('infinit user fetch --as alice --name charlie');
    assert.equal(
      await alice.type('infinit drive invite --as alice --name workspace --user bob --user charlie --passport'),
      [
        'Created invitation "alice/workspace: bob".',
        'Locally saved passport "alice/cluster: charlie".',
        'Created invitation "alice/workspace: charlie".',
      ].join('\n'),
    );
    assert.equal(
      await alice.type('infinit drive invite --as alice --name workspace --push'),
      [
        'Remotely already updated drive descriptor "alice/workspace".',
        'Remotely created invitation "alice/workspace: bob".',
        'Remotely created invitation "alice/workspace: charlie".',
      ].join('\n'),
    );
    await charlie.type('infinit drive fetch --as charlie');
    assert.match(await charlie.type('infinit drive list --as charlie'), /^alice\/workspace .*: pending$/);
    assert.match(
      await charlie.type('infinit drive join --as charlie --name alice/workspace'),
      /^Joined drive "alice\/workspace"\.$/m,
    );
    assert.match(await charlie.type('infinit drive list --as charlie'), /^alice\/workspace .*: ok$/);
    await charlie.type('infinit network link --as charlie --name alice/cluster');
    const his = await charlie.typeAndWait(
      'infinit volume mount --as charlie --name alice/shared --mountpoint shared/ --publish',
      running,
    );
    assert.equal(await charlie.type('cat shared/awesome.txt'), 'everything is');
    assert.equal(await his.stop('SIGINT'), 0, his.output);
  });

  test('somebody who may lets another in, until he may no longer', async () => {
    const dave = guide.machine('dave');
    await dave.type('infinit user signup --name dave --email dave@company.com');
    await alice.type('infinit passport create --as alice --network cluster --user bob --allow-create-passport --push');
    await bob.type('infinit passport fetch --as bob --network alice/cluster');
    await bob.type('infinit network fetch --as bob --name alice/cluster');
    await bob.type('infinit network link --as bob --name alice/cluster');
    await bob.type('infinit volume fetch --as bob --name alice/shared');
    const his = await bob.typeAndWait(
      'infinit volume mount --as bob --name alice/shared --mountpoint shared/ --publish',
      running,
    );
    await bob.type('infinit acl register --as bob --path shared/ --user bob --network alice/cluster');
    await bob.type('infinit user fetch --as bob --name dave');
    const made = await bob.typeAnyhow('infinit passport create --as bob --network alice/cluster --user dave --push');
    assert.equal(
      made.stdout.toString(),
      'Locally saved passport "alice/cluster: dave".\nRemotely created passport "alice/cluster: dave".\n',
    );
    assert.match(made.stderr, /^NOTICE: /m);
    await dave.type('infinit passport fetch --as dave');
    await dave.type('infinit network fetch --as dave --name alice/cluster');
    await dave.type('infinit network link --as dave --name alice/cluster');
    await dave.type('infinit volume fetch --as dave --network alice/cluster');
    const mount = 'infinit volume mount --as dave --name alice/shared --mountpoint shared/ --publish';
    const daves = await dave.typeAndWait(mount, running);
    assert.equal(await dave.type('cat shared/awesome.txt'), 'everything is');
    for (const one of [daves, his]) assert.equal(await one.stop('SIGINT'), 0, one.output);

    // charlie may not.
    await charlie.type('infinit user fetch --as charlie --name dave');
    const refused = await charlie.typeAnyhow(
      'infinit passport create --as charlie --network alice/cluster --user dave',
    );
    assert.equal(refused.code, 1);
    // What bob gave goes with what he has.
    await alice.type('infinit passport revoke --as alice --network cluster --user bob');
    await eventually('dave is out', 60_000, async () => {
      const out = await dave.typeAnyhow(`timeout 20 ${mount}`);
      return out.code === 1 && /revoked|passport|denied|refuse/i.test(out.stderr);
    });
    assert.equal(await hers.stop('SIGINT'), 0, hers.output);
  });
});

describe('taking everything away', { timeout: 900_000, ...needsGuide() }, () => {
  let guide: Guide;
  let alice: Device;
  let bob: Device;
  before(async () => {
    guide = await Guide.open();
    await guide.startHub();
    [alice, bob] = [guide.machine('alice'), guide.machine('bob')];
    await alice.type('infinit user signup --name alice');
    await bob.type('infinit user signup --name bob');
    await alice.type('infinit user fetch --name bob');
  });
  after(() => guide.close());

  beforeEach(async () => {
    await alice.type('infinit silo create filesystem --capacity 1GB --name local');
    await alice.type('infinit network create --as alice --silo local --name cluster --push');
    await alice.type('infinit passport create --as alice --network cluster --user bob --push');
    await alice.type('infinit volume create --as alice --network cluster --name shared --push');
    await alice.type('infinit drive create --as alice --network cluster --volume shared --name workspace --push');
  });

  /** Names of all that alice has here, of each kind; on the hub: what comes to a new machine of hers. */
  async function lists(where: 'here' | 'hub'): Promise<Record<string, string[]>> {
    const found: Record<string, string[]> = {};
    const machine = where === 'here' ? alice : guide.machine('alice', `alice-${asked++}`);
    if (where === 'hub') await machine.type('infinit user import', await alice.type('infinit user export --full'));
    for (const kind of ['network', 'passport', 'volume', 'drive']) {
      // Passports she gave are asked for by their network, which may be gone.
      const of = kind === 'passport' ? '--network cluster' : '';
      const { code, stdout } = await machine.typeAnyhow(
        where === 'here' ? `infinit ${kind} list --as alice -s` : `infinit ${kind} fetch --as alice ${of}`,
      );
      if (kind !== 'passport') assert.equal(code, 0, kind);
      found[kind] = where === 'here' ? listed(stdout.toString()) : fetched(stdout.toString());
    }
    return found;
  }
  const listed = (json: string) =>
    (JSON.parse(json) as Record<string, string>[]).map(({ name, network, user }) => name ?? `${network}: ${user}`);
  const fetched = (lines: string) => [...lines.matchAll(/^Locally fetched .*"(.*)"\.$/gm)].map(([, name = '']) => name);
  let asked = 0;
  const all = {
    network: ['alice/cluster'],
    passport: ['alice/cluster: bob'],
    volume: ['alice/shared'],
    drive: ['alice/workspace'],
  };
  const none = { network: [], passport: [], volume: [], drive: [] };

  test('a volume with its drives; a silo with the links that use it; a network with all in it', async () => {
    assert.deepEqual(await lists('here'), all);
    assert.deepEqual(await lists('hub'), all);
    assert.equal(
      await alice.type('infinit volume delete --as alice --name shared --pull --purge'),
      'Remotely deleted volume descriptor "alice/shared".\n' +
        'Locally deleted drive descriptor "alice/workspace".\nLocally deleted volume descriptor "alice/shared".',
    );
    for (const where of ['here', 'hub'] as const)
      assert.deepEqual(await lists(where), { ...all, volume: [], drive: [] }, where);
    const used = await alice.typeAnyhow('infinit silo delete --name local');
    assert.equal(used.code, 0, used.stderr);
    assert.equal(
      await alice.type('infinit network unlink --as alice --name cluster').then((said) => said.split('\n')[0]),
      'Locally unlinked network "alice/cluster".',
    );
    await alice.type('infinit volume create --as alice --network cluster --name shared --push');
    await alice.type('infinit drive create --as alice --network cluster --volume shared --name workspace --push');
    await alice.type('infinit network delete --as alice --name cluster --pull --purge');
    for (const where of ['here', 'hub'] as const) assert.deepEqual(await lists(where), none, where);
  });

  test('a person with everything, on the hub alone first', async () => {
    assert.equal(
      await alice.type('infinit silo delete --name local --clear-content --purge'),
      'Locally unlinked network "alice/cluster".\nLocally deleted silo "local".',
    );
    assert.equal(await alice.type('infinit network list --as alice'), 'alice/cluster: not linked');
    await alice.type('infinit network pull --as alice --name cluster --purge');
    assert.deepEqual(await lists('hub'), none);
    assert.deepEqual(await lists('here'), all);
    for (const [kind, name] of Object.entries({ network: 'cluster', volume: 'shared', drive: 'workspace' }))
      await alice.type(`infinit ${kind} push --as alice --name ${name}`);
    const said = await alice.type('infinit user delete --name alice --pull --purge --force');
    assert.match(said, /^Remotely deleted identity for user "alice"\.$/m);
    assert.match(said, /^Locally deleted identity for user "alice"\.$/m);
    assert.deepEqual(await lists('here'), none);
    const gone = await bob.typeAnyhow('infinit user fetch --as bob --name alice');
    assert.match(gone.stderr, /user "alice" does not exist/);
    const volume = await bob.typeAnyhow('infinit volume fetch --as bob --name alice/shared');
    assert.equal(volume.code, 1);
  });
});
