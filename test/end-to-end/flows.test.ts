// What the original's guides have people type, word for word: get started with a hub, in the words of its last version and of its
// first; three machines; without a hub; drives; delegates; taking all away. Pairing has its own file (pairing.test.ts), as have
// invitations by e-mail (hub-invitations.test.ts). Where our words differ docs/command-line.md says so.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Device, Running } from './device.ts';
import { Guide, needsGuide } from './guide.ts';

const running = /^Running volume "/m;

/** Ends what was typed last first, as people leave: with control-C. */
async function leave(...mounts: Running[]): Promise<void> {
  for (const mount of mounts.reverse()) assert.equal(await mount.stop('SIGINT'), 0, mount.output);
}

/** Reads as text. */
function shown(device: Device, path: string): Promise<string> {
  return device.type(`cat ${path}`);
}

describe('get started, in the words of the last version', { timeout: 900_000, ...needsGuide() }, () => {
  let guide: Guide;
  let alice: Device;
  let bob: Device;
  before(async () => {
    guide = await Guide.open();
    await guide.startHub();
    [alice, bob] = [guide.machine('alice'), guide.machine('bob')];
  });
  after(() => guide.close());

  test('a volume of one machine, then somebody is let in', async () => {
    assert.equal(
      await alice.type('infinit user signup --name alice --email alice@company.com --fullname "Alice"'),
      'Generating Ed25519 keypair.\nLocally saved identity for user "alice".\nRemotely created identity for user "alice".',
    );
    assert.equal(
      await alice.type('infinit silo create filesystem --capacity 1GB --name local'),
      'Locally saved silo "local".',
    );
    assert.equal(
      await alice.type('infinit network create --as alice --silo local --name my-network --push'),
      'Locally saved network descriptor "alice/my-network".\nLinked device to network "alice/my-network".\n' +
        'Remotely created network descriptor "alice/my-network".',
    );
    assert.equal(
      await alice.type('infinit volume create --as alice --network my-network --name my-volume --push'),
      'Locally saved volume descriptor "alice/my-volume".\nRemotely created volume descriptor "alice/my-volume".',
    );
    const hers = await alice.typeAndWait(
      'infinit volume mount --as alice --name my-volume --mountpoint mnt-my-volume/ --allow-root-creation --cache --publish',
      running,
    );
    await alice.type('echo "everything is" > mnt-my-volume/awesome.txt');

    await bob.type('infinit user signup --name bob --email bob@company.com --fullname "Bob"');
    assert.equal(
      await alice.type('infinit user fetch --as alice --name bob'),
      'Locally fetched identity for user "bob".',
    );
    assert.equal(
      await alice.type('infinit passport create --as alice --network my-network --user bob --push'),
      'Locally saved passport "alice/my-network: bob".\nRemotely created passport "alice/my-network: bob".',
    );
    assert.equal(
      await alice.type('infinit acl set --path mnt-my-volume/ --mode rw --user bob'),
      '', // as the original's
    );
    await bob.type('infinit network fetch --as bob --name alice/my-network');
    await bob.type('infinit passport fetch --as bob --network alice/my-network');
    assert.equal(
      await bob.type('infinit network link --as bob --name alice/my-network'),
      'Linked device to network "alice/my-network".',
    );
    assert.equal(
      await bob.type('infinit volume fetch --as bob --name alice/my-volume'),
      'Locally fetched volume descriptor "alice/my-volume".',
    );
    const his = await bob.typeAndWait(
      'infinit volume mount --as bob --name alice/my-volume --mountpoint mnt-alice-volume/ --cache --publish',
      running,
    );
    assert.equal(await shown(bob, 'mnt-alice-volume/awesome.txt'), 'everything is');
    await bob.type('echo awesome >> mnt-alice-volume/awesome.txt');
    assert.equal(await shown(alice, 'mnt-my-volume/awesome.txt'), 'everything is\nawesome');
    assert.match(
      await alice.type('infinit acl list --path mnt-my-volume/awesome.txt'),
      /^mnt-my-volume\/awesome\.txt:\n(?: .*\n)* {4}alice \(admin, owner\): rw\n {4}bob: rw$/m,
    );
    await leave(hers, his);
  });
});

describe('the reference, in the words of the first versions', { timeout: 900_000, ...needsGuide() }, () => {
  let guide: Guide;
  let alice: Device;
  let nas: Device;
  let bob: Device;
  before(async () => {
    guide = await Guide.open();
    await guide.startHub();
    [alice, nas, bob] = [guide.machine('alice'), guide.machine('alice', 'nas'), guide.machine('bob')];
  });
  after(() => guide.close());

  test('a network of two machines of one person, and an invitee', async () => {
    await alice.type('infinit-user --create --name alice');
    assert.equal(
      await alice.type(
        'infinit-user --push --name alice --fullname "Alice" --email alice@company.com --full',
        'secret\n',
      ),
      'Remotely created identity for user "alice".',
    );
    assert.equal(await alice.type('infinit-user --list'), '* alice: public/private keys');
    await alice.type('infinit-storage --create --filesystem --capacity 2GB --name local');
    await alice.type('infinit-storage --create --filesystem --capacity 2GB --name second');
    assert.match(
      await alice.type(
        'infinit-network --create --as alice --kelips --k 1 --replication-factor 3 --storage local --storage second --name cluster',
      ),
      /^Locally saved network descriptor "alice\/cluster"\.$/m,
    );
    assert.equal(
      await alice.type('infinit-network --push --as alice --name cluster'),
      'Remotely created network descriptor "alice/cluster".',
    );
    await alice.type('infinit-volume --create --as alice --network cluster --name shared');
    await alice.type('infinit-volume --push --as alice --name shared');
    const mount = 'infinit-volume --mount --as alice --name shared --mountpoint mnt/shared/ --publish';
    mkdirSync(join(alice.home, 'mnt'));
    const hers = await alice.typeAndWait(mount, running);
    await alice.type('echo "everything is" > mnt/shared/awesome.txt');

    assert.equal(
      await nas.type('infinit-user --login --name alice', 'secret\n'),
      'Locally saved identity for user "alice".',
    );
    await nas.type('infinit-network --fetch --as alice');
    assert.equal(await nas.type('infinit-network --list'), 'alice/cluster: not linked');
    await nas.type('infinit-storage --create --filesystem --name nas');
    assert.equal(
      await nas.type('infinit-network --link --as alice --name cluster --storage nas'),
      'Linked device to network "alice/cluster".',
    );
    await nas.type('infinit-volume --fetch --as alice');
    assert.equal(await nas.type('infinit-volume --list'), 'alice/shared: alice/cluster');
    mkdirSync(join(nas.home, 'mnt'));
    const there = await nas.typeAndWait(mount, running);
    assert.equal(await shown(nas, 'mnt/shared/awesome.txt'), 'everything is');

    await bob.type('infinit-user --signup --name bob --fullname "Bob" --email bob@company.com');
    await alice.type('infinit-user --fetch --as alice --name bob');
    await alice.type('infinit-passport --create --as alice --network cluster --user bob');
    assert.equal(await alice.type('infinit-passport --list --as alice'), 'alice/cluster: bob');
    assert.equal(
      await alice.type('infinit-passport --push --as alice --network cluster --user bob'),
      'Remotely created passport "alice/cluster: bob".',
    );
    await bob.type('infinit-passport --fetch --as bob');
    assert.equal(await bob.type('infinit-passport --list --as bob'), 'alice/cluster: bob');
    await bob.type('infinit-network --fetch --as bob --name alice/cluster');
    await bob.type('infinit-network --link --as bob --name alice/cluster');
    await bob.type('infinit-volume --fetch --as bob');
    await alice.type('infinit-acl --group --create --name marketing --path mnt/shared');
    await alice.type('infinit-acl --group --name marketing --add bob --path mnt/shared');
    await alice.type('infinit-acl --set --mode rw --user @marketing --path mnt/shared');
    mkdirSync(join(bob.home, 'mnt'));
    const his = await bob.typeAndWait(
      'infinit-volume --mount --as bob --name alice/shared --mountpoint mnt/shared/ --publish',
      running,
    );
    assert.equal(await shown(bob, 'mnt/shared/awesome.txt'), 'everything is');
    assert.deepEqual(JSON.parse(await alice.type('infinit-acl --group --show --name marketing --path mnt/shared -s')), {
      admins: ['alice'],
      members: ['alice', 'bob'],
      description: '',
    });
    await leave(hers, there, his);
  });
});

describe('three machines, each with a person and a silo', { timeout: 900_000, ...needsGuide() }, () => {
  let guide: Guide;
  let machines: Device[];
  before(async () => {
    guide = await Guide.open();
    await guide.startHub();
    machines = [0, 1, 2].map((number) => guide.machine(`infinit${number}`));
  });
  after(() => guide.close());

  test('all three mount what the first made', async () => {
    const [first] = machines as [Device, Device, Device];
    const others = machines.slice(1);
    for (const device of machines)
      await device.type(`infinit user create --push --name ${device.user} --fullname "${device.user}"`);
    for (const { user } of others) await first.type(`infinit user fetch --as infinit0 --name ${user}`);
    for (const device of machines) await device.type('infinit silo create --filesystem --capacity 5GB --name local');
    await first.type(
      'infinit network create --as infinit0 --storage local --replication-factor 3 --name cluster --push',
    );
    for (const { user } of others)
      await first.type(`infinit passport create --as infinit0 --network cluster --user ${user} --push`);
    for (const device of others) {
      await device.type(`infinit passport fetch --as ${device.user}`);
      await device.type(`infinit network fetch --as ${device.user}`);
      await device.type(`infinit network link --as ${device.user} --name infinit0/cluster --storage local`);
    }
    await first.type(
      'infinit volume create --as infinit0 --network cluster --name shared --default-permissions rw --push',
    );
    for (const device of others) await device.type(`infinit volume fetch --as ${device.user}`);
    const mounts: Running[] = [];
    for (const device of machines) {
      mkdirSync(join(device.home, 'mnt'));
      const name = device === first ? 'shared' : 'infinit0/shared';
      const words = `--as ${device.user} --name ${name} --cache --publish --mountpoint mnt/shared/`;
      mounts.push(await device.typeAndWait(`infinit volume mount ${words}`, running));
      await device.type(`echo ${device.user} > mnt/shared/${device.user}`);
    }
    for (const device of machines)
      assert.equal(await shown(device, 'mnt/shared/infinit?'), 'infinit0\ninfinit1\ninfinit2');
    await leave(...mounts);
  });
});

describe('without a hub', { timeout: 900_000, ...needsGuide() }, () => {
  let guide: Guide;
  let alice: Device;
  let laptop: Device;
  let bob: Device;
  before(async () => {
    guide = await Guide.open();
    [alice, laptop, bob] = [guide.machine('alice'), guide.machine('alice', 'laptop'), guide.machine('bob')];
  });
  after(() => guide.close());

  /** By a stick or by scp. */
  const carry = (from: Device, to: Device, file: string) => copyFileSync(join(from.home, file), join(to.home, file));

  test('everything is carried as files, and a peer is named', async () => {
    await alice.type('infinit user create --name alice --fullname "Alice"');
    await alice.type('infinit silo create filesystem --capacity 2GB --name local');
    await alice.type('infinit network create --as alice --silo local --name cluster');
    await alice.type('infinit volume create --as alice --network cluster --name shared');
    const hers = await alice.typeAndWait(
      'infinit volume mount --as alice --name shared --mountpoint shared/ --allow-root-creation --port 4242',
      running,
    );
    await alice.type('echo "everything is" > shared/awesome.txt');

    // Another machine of hers, with her identity in a file.
    const exported = await alice.typeAnyhow('infinit user export --name alice --full --output alice.user');
    assert.equal(exported.stdout.toString(), 'Exported identity for user "alice".\n');
    assert.equal(exported.stderr.match(/^WARNING: /gm)?.length, 3);
    await alice.type('infinit network export --as alice --name cluster --output cluster.network');
    await alice.type('infinit volume export --as alice --name shared --output shared.volume');
    for (const file of ['alice.user', 'cluster.network', 'shared.volume']) carry(alice, laptop, file);
    assert.equal(await laptop.type('infinit user import --input alice.user'), 'Imported identity for user "alice".');
    await laptop.type('infinit network import --input cluster.network');
    await laptop.type('infinit volume import --input shared.volume');
    await laptop.type('infinit network link --as alice --name cluster');
    const there = await laptop.typeAndWait(
      'infinit volume mount --as alice --name shared --mountpoint shared/ --peer 127.0.0.1:4242',
      running,
    );
    assert.equal(await shown(laptop, 'shared/awesome.txt'), 'everything is');

    // Somebody else, who gives his public identity and gets a passport.
    await bob.type('infinit user create --name bob');
    await bob.type('infinit user export --name bob --output bob.user');
    carry(bob, alice, 'bob.user');
    await alice.type('infinit user import --input bob.user');
    await alice.type('infinit passport create --as alice --network cluster --user bob --output bob.passport');
    await alice.type('infinit user export --name alice --output alice-public.user');
    assert.ok(!('private_key' in JSON.parse(readFileSync(join(alice.home, 'alice-public.user'), 'utf8'))));
    for (const file of ['alice-public.user', 'cluster.network', 'shared.volume', 'bob.passport'])
      carry(alice, bob, file);
    await bob.type('infinit user import --input alice-public.user');
    await bob.type('infinit network import --input cluster.network');
    await bob.type('infinit passport import --input bob.passport');
    await bob.type('infinit network link --as bob --name alice/cluster');
    await bob.type('infinit volume import --input shared.volume');
    await alice.type('infinit acl set --path shared/ --user bob --mode r');
    const his = await bob.typeAndWait(
      'infinit volume mount --as bob --name alice/shared --mountpoint shared/ --peer 127.0.0.1:4242',
      running,
    );
    assert.equal(await shown(bob, 'shared/awesome.txt'), 'everything is');
    await leave(hers, there, his);
  });
});
