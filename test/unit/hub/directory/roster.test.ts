import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { limits } from '../../../../src/core/base/limits.ts';
import { type Roster, rosterOf } from '../../../../src/core/hub/directory/roster.ts';
import { entryOf, MemoryDirectory } from './support.ts';

const person = (uid: string, ou = 'people') =>
  entryOf(`uid=${uid.replace(/[,=]/g, '\\$&')},ou=${ou},dc=org`, {
    objectClass: ['inetOrgPerson'],
    uid: [uid],
    cn: [uid],
  });
const posixGroup = (cn: string, ...memberUid: string[]) =>
  entryOf(`cn=${cn},ou=groups,dc=org`, { objectClass: ['top', 'posixGroup'], cn: [cn], memberUid });
const namedGroup = (cn: string, ...member: string[]) =>
  entryOf(`cn=${cn},ou=groups,dc=org`, { objectClass: ['groupOfNames'], cn: [cn], member });
const search = { base: 'ou=groups,dc=org', root: 'dc=org', objectClass: 'posixGroup', attributes: [] };
const shown = ({ people, groups, problems }: Roster) => ({
  people: people.map(({ dn }) => dn.split(',', 1)[0]),
  groups: Object.fromEntries(groups.map(({ name, members }) => [name, members.map(({ dn }) => dn.split(',', 1)[0])])),
  problems: problems.map(({ name }) => name),
});

describe('who is meant', () => {
  test('the members of groups that are found, each once', async () => {
    const people = ['a', 'b', 'c'].map((uid) => person(uid));
    const directory = new MemoryDirectory([...people, posixGroup('x', 'a', 'B', 'gone'), posixGroup('y', 'b', 'b')]);
    assert.deepEqual(shown(await rosterOf(directory, search)), {
      people: ['uid=a', 'uid=b'],
      groups: { x: ['uid=a', 'uid=b'], y: ['uid=b'] },
      problems: ['gone'],
    });
  });

  test('people that are found, themselves; only those that fit', async () => {
    const directory = new MemoryDirectory([person('a'), person('b'), posixGroup('x', 'a')]);
    const found = await rosterOf(directory, {
      ...search,
      base: 'dc=org',
      objectClass: 'inetOrgPerson',
      filter: 'uid=b',
    });
    assert.deepEqual(shown(found), { people: ['uid=b'], groups: {}, problems: [] });
  });

  test('members of groups in groups, also where these go round', async () => {
    const dns = { a: 'uid=a,ou=people,dc=org', x: 'cn=x,ou=groups,dc=org', y: 'CN=y, ou=groups,dc=org' };
    const directory = new MemoryDirectory([
      person('a'),
      person('b'),
      namedGroup('x', dns.y, dns.a),
      namedGroup('y', dns.x, 'uid=b,ou=people,dc=org', 'uid=gone,dc=org', 'no name'),
    ]);
    const found = shown(await rosterOf(directory, { ...search, objectClass: 'groupOfNames' }));
    assert.deepEqual(found.groups, { x: ['uid=a', 'uid=b'], y: ['uid=b', 'uid=a'] });
    assert.deepEqual(found.problems, ['uid=gone,dc=org', 'no name']);
  });

  test('a name that several have stands for none of them', async () => {
    const directory = new MemoryDirectory([person('a'), person('a', 'guests'), person('b'), posixGroup('x', 'a', 'b')]);
    const found = shown(await rosterOf(directory, search));
    assert.deepEqual([found.people, found.problems], [['uid=b'], ['a']]);
  });

  test('what members are called is no filter', async () => {
    const evil = 'a)(uid=*';
    const directory = new MemoryDirectory([person('a'), person('b'), posixGroup('x', evil, '*')]);
    const found = shown(await rosterOf(directory, search));
    assert.deepEqual([found.people, found.problems], [[], [evil, '*']]);
    assert.ok(directory.filters.includes('(|(uid=a\\29\\28uid=\\2a)(uid=\\2a))'), directory.filters.join());
    directory.entries.push(person(evil));
    assert.equal((await rosterOf(directory, search)).people.length, 1);
  });

  test('many members are asked for by the dozen', async () => {
    const uids = Array.from({ length: 2 * limits.ldapNamesPerSearch + 1 }, (_, at) => `p${at}`);
    const directory = new MemoryDirectory([...uids.map((uid) => person(uid)), posixGroup('x', ...uids)]);
    assert.equal((await rosterOf(directory, search)).people.length, uids.length);
    assert.equal(directory.filters.length, 4);
  });
});
