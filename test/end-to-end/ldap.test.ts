// The people of Debian's slapd on a hub: they log in by their password there, are let into a network and its groups, and invited to a
// drive; without them anybody else is. TLS both ways.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { limits } from '../../src/core/base/limits.ts';
import type { Directory } from '../../src/core/hub/directory/directory.ts';
import { type LdapServer, openLdap } from '../../src/core/hub/directory/ldap.ts';
import { rosterOf } from '../../src/core/hub/directory/roster.ts';
import { failsWith } from '../unit/descriptor/support.ts';
import { type Device, Lab, run } from './device.ts';
import { Hub } from './hub.ts';
import { needs } from './needs.ts';
import { dnOf, passwordOf, reader, Slapd, suffix } from './slapd.ts';
import { cannotMount } from './volume.ts';

const programs = needs('slapd', 'slapadd', 'ldapmodify', 'openssl');
const evil = 'eve)(uid=*';

describe('a directory', { timeout: 300_000, ...programs }, () => {
  const lab = new Lab();
  let slapd: Slapd;
  let ca: Buffer;

  before(async () => {
    const crowd = Array.from({ length: 2 * limits.ldapPageEntries + 50 }, (_, at) => ({
      uid: `p${at}`,
      cn: `P ${at}`,
    }));
    slapd = await Slapd.start(join(lab.folder, 'slapd'), {
      people: [...crowd, { uid: evil, cn: 'Ève (*)', mail: 'eve@example.org' }],
      groups: [
        { cn: 'staff', uids: ['p1', evil, '*', 'gone'] },
        { cn: 'all', dns: [dnOf('p2'), `cn=staff,ou=groups,${suffix}`] },
      ],
      sizeLimit: 50,
    });
    ca = readFileSync(slapd.ca);
  });
  after(async () => {
    await slapd?.stop();
    await lab.close();
  });

  async function asReader<T>(server: LdapServer, task: (directory: Directory) => Promise<T>): Promise<T> {
    const directory = await openLdap(server);
    try {
      await directory.bind(reader.dn, reader.password);
      return await task(directory);
    } finally {
      directory.close();
    }
  }
  const servers = () => [slapd.url, slapd.secureUrl].map((url) => ({ url, ca }));
  const collect = async (directory: Directory, filter: string, base = suffix) => {
    const found: string[] = [];
    for await (const { dn } of directory.search({ base, filter, attributes: ['cn'] })) found.push(dn);
    return found;
  };

  test('is asked under TLS, by a certificate that holds, or not at all', async () => {
    for (const { url } of servers()) {
      await assert.rejects(openLdap({ url }), failsWith('denied', /not trusted/));
      const byAddress = url.replace('localhost', '127.0.0.1');
      await assert.rejects(openLdap({ url: byAddress, ca }), failsWith('denied', /not trusted/));
    }
    await assert.rejects(openLdap({ url: 'ldap://localhost:1', ca }), failsWith('unavailable', /ECONNREFUSED/));
    await asReader({ url: slapd.url, cleartext: true }, async (directory) =>
      assert.deepEqual(await collect(directory, '(uid=p1)'), [dnOf('p1')]),
    );
  });

  test('knows who knows a password, and takes none for nobody', async () => {
    for (const server of servers()) {
      const directory = await openLdap(server);
      await directory.bind(dnOf('p7'), passwordOf('p7'));
      await assert.rejects(directory.bind(dnOf('p7'), passwordOf('p8')), failsWith('denied', /name and password/));
      await assert.rejects(directory.bind(dnOf('p7'), ''), failsWith('denied', /empty/));
      await assert.rejects(directory.bind('', 'x'), failsWith('denied', /empty/));
      directory.close();
      // A connection that ended is never made anew: that would be without TLS.
      await assert.rejects(directory.bind(dnOf('p7'), passwordOf('p7')), failsWith('unavailable', /./));
    }
  });

  test('gives all it has page by page, over its own limit', async () => {
    for (const server of servers())
      await asReader(server, async (directory) => {
        assert.equal((await collect(directory, '(objectClass=inetOrgPerson)')).length, 2 * limits.ldapPageEntries + 51);
        await assert.rejects(collect(directory, '(cn=a))(b=c)'), failsWith('usage', /no LDAP filter/));
        await assert.rejects(collect(directory, '(cn=a)', `ou=none,${suffix}`), failsWith('not-found', /no entry/));
      });
  });

  test('says who is meant; what people are called means nothing else', async () => {
    await asReader({ url: slapd.url, ca }, async (directory) => {
      const search = { base: `ou=groups,${suffix}`, root: suffix, attributes: ['mail'] };
      const staff = await rosterOf(directory, { ...search, objectClass: 'posixGroup' });
      const names = (people: readonly { values: ReadonlyMap<string, readonly string[]> }[]) =>
        people.map(({ values }) => values.get('uid')?.[0]).sort();
      assert.deepEqual(names(staff.people), [evil, 'p1'].sort());
      assert.deepEqual(staff.problems.map(({ name }) => name).sort(), ['*', 'gone']);
      const all = await rosterOf(directory, { ...search, objectClass: 'groupOfNames', filter: 'cn=all' });
      assert.deepEqual(names(all.groups[0]?.members ?? []), [evil, 'p1', 'p2'].sort());
    });
  });
});

describe('people of a directory', { timeout: 600_000, ...programs }, () => {
  const lab = new Lab();
  let slapd: Slapd;
  let hub: Hub;
  let alice: Device;
  let bob: Device;
  const ldap = () => [
    '--server',
    slapd.url,
    '-d',
    'example.org',
    '-u',
    'reader',
    '--tls-ca',
    slapd.ca,
    '-b',
    'ou=groups',
  ];

  before(async () => {
    slapd = await Slapd.start(join(lab.folder, 'slapd'), {
      people: [
        { uid: 'bob', cn: 'Bob Builder', mail: 'bob@example.org', uidNumber: 4001 },
        { uid: 'carol', cn: 'Carol', uidNumber: 4002 },
      ],
      groups: [{ cn: 'Staff', uids: ['bob', 'carol'] }],
    });
    hub = new Hub(lab, 'hub', ['--ldap-server', slapd.secureUrl, '--ldap-ca', slapd.ca]);
    await hub.start();
    [alice, bob] = [lab.device('desk', 'alice'), lab.device('laptop', 'bob.builder')];
    for (const device of [alice, bob]) device.environment = hub.environment;
    await alice.run(['user', 'signup', 'alice']);
    // An administrator must be there before he is named.
    await hub.stop();
    await hub.start('--admin', 'alice');
  });
  after(async () => {
    await hub?.stop();
    await slapd?.stop();
    await lab.close();
  });

  test('get names on the hub, once somebody says y', async () => {
    const words = ['ldap', 'populate-hub', ...ldap()];
    const wrong = await alice.attempt(words, 'wrong\ny\n');
    assert.match(wrong.stderr, /does not take name and password/);
    const no = await alice.attempt(words, `${reader.password}\nn\n`);
    assert.deepEqual([no.code, /nothing is put on the hub/.test(no.stderr)], [1, true]);
    const told = await alice.run(words, `${reader.password}\ny\n`);
    assert.match(told, /^ {2}bob\.builder \(uid=bob,ou=people,dc=example,dc=org\)$/m);
    assert.match(told, /^Remotely created user "bob\.builder"\.$/m);
    const again = JSON.parse(await alice.run([...words, '--script'], `${reader.password}\n`));
    assert.deepEqual(
      again.users.map(({ name, result }: Record<string, string>) => [name, result]),
      [
        ['bob.builder', 'unchanged'],
        ['carol', 'unchanged'],
      ],
    );
    const denied = await bob.attempt(['user', 'create', 'mallory', '--push']);
    assert.equal(denied.code, 0, denied.stderr);
    const mallory = await bob.attempt([...words, '--as', 'mallory'], `${reader.password}\ny\n`);
    assert.match(mallory.stderr, /Forbidden keeping names/);
  });

  test('take them by the password of the directory, and choose another', async () => {
    const name = 'bob.builder';
    const wrong = await bob.attempt(['user', 'login', name], 'his own\nwrong\n');
    assert.match(wrong.stderr, /password of the directory do not match/);
    const same = await bob.attempt(['user', 'login', name], `${passwordOf('bob')}\n${passwordOf('bob')}\n`);
    assert.match(same.stderr, /must be another than that of the directory/);
    const told = await bob.run(['user', 'login', name], `his own\n${passwordOf('bob')}\n`);
    assert.match(told, /^Generating Ed25519 keypair\.\nLocally saved identity for user "bob\.builder"\.$/m);
    const own = JSON.parse(await bob.run(['user', 'export', name]));
    assert.deepEqual([own.email, own.ldap_dn], ['bob@example.org', dnOf('bob')]);
    const phone = lab.device('phone', name);
    phone.environment = hub.environment;
    await phone.run(['user', 'login', name], `his own\n${passwordOf('bob')}\n`);
    assert.deepEqual(JSON.parse(await phone.run(['user', 'export', name])), own);
    const secrets = readFileSync(join(hub.device.folders.state, 'hub/hub.sqlite'));
    for (const secret of ['his own', passwordOf('bob')]) assert.equal(secrets.includes(secret), false);
    assert.doesNotMatch(hub.output, /of ldap|his own/);
  });

  test('are let into a network, its groups and a drive, those who have logged in', {
    skip: cannotMount() ?? false,
  }, async () => {
    await alice.run(['silo', 'create', 'filesystem', 'local']);
    await alice.run(['network', 'create', 'cluster', '--silo', 'local', '--push']);
    await alice.run(['volume', 'create', 'shared', '--network', 'cluster', '--push']);
    await alice.run(['drive', 'create', 'family', '--network', 'cluster', '--volume', 'shared']);
    const mountpoint = join(lab.folder, 'mount');
    const mount = await alice.start(['volume', 'mount', 'shared', '--mountpoint', mountpoint], /^Running volume/m);
    const asked = [...ldap(), '-m', mountpoint];
    const elsewhere = ['ldap', 'populate-network', '-N', 'cluster', ...ldap(), '-m', lab.folder];
    assert.match((await alice.attempt(elsewhere, `${reader.password}\n`)).stderr, /is not mounted at/);
    const first = await alice.attempt(['ldap', 'populate-network', '-N', 'cluster', ...asked], `${reader.password}\n`);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout.toString(), /^Locally saved passport "alice\/cluster: bob\.builder"\.$/m);
    assert.match(first.stdout.toString(), /^Created group "staff"\.$/m);
    assert.match(first.stderr, /uid=carol,ou=people,dc=example,dc=org: has not logged in yet/);
    const group = async () =>
      JSON.parse(await alice.run(['acl', 'group', '--path', mountpoint, '-n', 'staff', '--show', '-s']));
    assert.deepEqual((await group()).members, ['bob.builder']);

    const carol = lab.device('carol', 'carol');
    carol.environment = hub.environment;
    await carol.run(['user', 'login', 'carol'], `hers\n${passwordOf('carol')}\n`);
    const invite = ['ldap', 'drive-invite', '--drive', 'family', ...asked, '--root-permissions', 'r', '--create-home'];
    const invited = await alice.attempt(invite, `${reader.password}\n`);
    assert.match(invited.stdout.toString(), /^Changed group "staff"\.$/m, invited.stderr);
    assert.match(invited.stdout.toString(), /^Invited "carol" to drive "alice\/family"\.$/m);
    assert.deepEqual((await group()).members.sort(), ['bob.builder', 'carol']);
    const [list] = JSON.parse(await alice.run(['acl', 'list', '--path', mountpoint, '-s']));
    assert.ok(
      list.permissions.some(
        ({ name, read, write }: Record<string, unknown>) => name === '@staff' && read === true && write === false,
      ),
      JSON.stringify(list),
    );
    if (process.getuid?.() === 0)
      assert.equal(
        (await run('stat', ['-c', '%a %u %g', join(mountpoint, 'home/carol')])).toString(),
        '700 4002 4002\n',
      );
    await carol.run(['drive', 'join', 'alice/family']);
    const passport = JSON.parse(await carol.run(['passport', 'export', '-N', 'alice/cluster', '-u', 'carol']));
    assert.equal(passport.allow_write, true);
    assert.equal(await mount.stop('SIGINT'), 0, mount.output);
  });

  test('who has left logs in no more', async () => {
    slapd.modify(`dn: ${dnOf('bob')}\nchangetype: modify\nreplace: userPassword\nuserPassword: another\n`);
    const tablet = lab.device('tablet', 'bob.builder');
    tablet.environment = hub.environment;
    const gone = await tablet.attempt(['user', 'login', 'bob.builder'], `his own\n${passwordOf('bob')}\n`);
    assert.match(gone.stderr, /password of the directory do not match/);
    assert.equal(gone.code, 1);
  });
});
