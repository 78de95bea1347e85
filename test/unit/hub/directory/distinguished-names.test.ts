import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  below,
  domainDn,
  escapeDn,
  escapeFilter,
  normalDn,
  userDn,
} from '../../../../src/core/hub/directory/distinguished-names.ts';
import { failsWith } from '../../descriptor/support.ts';

describe('names', () => {
  test('are the same however they are written', () => {
    const same = [
      ['UID=Alice,OU=People,DC=Example,DC=Org', 'uid=alice, ou=people ,dc=example,dc=org'],
      ['cn=Liddell\\, Alice,dc=org', 'cn=Liddell\\2C Alice,dc=org'],
      ['cn=L\\C3\\A9a,dc=org', 'CN=Léa,dc=org'],
      ['cn=a+uid=b,dc=org', 'uid=b+cn=a,dc=org'],
      ['cn=two  blanks,dc=org', 'cn=two blanks,dc=org'],
      ['cn=a\\3Db,dc=org', 'cn=a\\=b,dc=org'],
    ];
    for (const [one = '', other = ''] of same) assert.equal(normalDn(one), normalDn(other), one);
  });

  test('are others when they are', () => {
    const all = [
      'cn=a,dc=org',
      'uid=a,dc=org',
      'cn=a,cn=a,dc=org',
      'cn=a\\,cn=a,dc=org',
      'cn=a+cn=b,dc=org',
      'cn=a\\+cn\\=b,dc=org',
      'cn=ab,dc=org',
      'cn=a b,dc=org',
      'cn=,dc=org',
      'cn=\\#a,dc=org',
    ];
    assert.equal(new Set(all.map(normalDn)).size, all.length);
  });

  test('that are none are refused', () => {
    for (const text of ['', 'alice', 'cn', '=a', 'cn=a,', 'cn=a,,dc=org', 'cn=a;dc=org', 'cn="a",dc=org', 'cn=a\\'])
      assert.throws(() => normalDn(text), failsWith('usage', /is /), text);
    for (const text of ['cn=a\\x,dc=org', 'cn=\\ff,dc=org', 'c n=a', 'cn=<a>', `cn=${'a'.repeat(3000)}`])
      assert.throws(() => normalDn(text), failsWith('usage', /is /), text);
  });

  test('hold whatever value is put into them, and nothing more', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 });
    fc.assert(
      fc.property(text, text, (one, other) => {
        const made = `cn=${escapeDn(one)},ou=${escapeDn(other)},dc=org`;
        const levels = normalDn(made).split(/(?<!\\)(?:\\\\)*,/);
        assert.equal(levels.length, 3);
        assert.equal(levels.at(-1), 'dc=org');
        assert.equal(normalDn(normalDn(made)), normalDn(made));
      }),
    );
  });

  test('of a domain and below it', () => {
    assert.equal(domainDn('example.com'), 'dc=example,dc=com');
    assert.equal(domainDn('o=Example'), 'o=Example');
    assert.equal(domainDn('a,b.com'), 'dc=a\\,b,dc=com');
    assert.equal(userDn('admin'), 'cn=admin');
    assert.equal(userDn('x,y'), 'cn=x\\,y');
    assert.equal(userDn('uid=admin,ou=x'), 'uid=admin,ou=x');
    const domain = 'dc=example,dc=com';
    assert.equal(below(domain, 'ou=people'), 'ou=people,dc=example,dc=com');
    assert.equal(below(domain, 'ou=people, DC=Example,dc=com'), 'ou=people, DC=Example,dc=com');
    assert.equal(below(domain, ''), domain);
    assert.equal(below('', 'ou=people'), 'ou=people');
    assert.equal(below(domain, domain), domain);
  });
});

describe('values in filters', () => {
  test('mean themselves', () => {
    assert.equal(escapeFilter('a*)(uid=*'), 'a\\2a\\29\\28uid=\\2a');
    assert.equal(escapeFilter('\\2a'), '\\5c2a');
    assert.equal(escapeFilter('\0'), '\\00');
    assert.equal(escapeFilter('Böb'), 'Böb');
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (value) => {
        const escaped = escapeFilter(value);
        assert.doesNotMatch(escaped, /[()*\0]/);
        const undone = escaped.replace(/\\([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
        assert.equal(undone, value);
      }),
    );
  });
});
