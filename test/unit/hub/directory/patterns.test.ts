import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isName } from '../../../../src/core/descriptor/names.ts';
import { asName, attributesOf, expand, nameFor } from '../../../../src/core/hub/directory/patterns.ts';
import { entryOf } from './support.ts';

const alice = entryOf('uid=alice,dc=org', { cn: ['Alice Liddell', 'Alice'], mail: ['a@example.org'] });

describe('patterns', () => {
  test('stand for attributes, the first value of each', () => {
    assert.deepEqual(attributesOf('$(cn)%', '$(givenName).$(sn)', 'plain'), ['cn', 'givenName', 'sn']);
    assert.equal(expand('$(cn) <$(MAIL)>', alice), 'Alice Liddell <a@example.org>');
    assert.equal(expand('$(sn)', alice), undefined);
  });

  test('make names, numbered where one is taken', () => {
    assert.deepEqual(
      [0, 1, 2].map((taken) => nameFor('$(cn)%', alice, taken)),
      ['alice.liddell', 'alice.liddell1', 'alice.liddell2'],
    );
    assert.equal(nameFor('x%-$(cn)', alice, 3), 'x3-alice.liddell');
    assert.equal(nameFor('$(cn)', alice, 1), undefined);
    // A % of the directory is no place for a number.
    assert.equal(nameFor('$(cn)%', entryOf('cn=x', { cn: ['50% off'] }), 2), '50.off2');
    assert.equal(nameFor('$(cn)%', entryOf('cn=x', { cn: ['$(mail)'], mail: ['secret'] }), 0), 'mail');
  });

  test('names are names, whatever the directory says', () => {
    assert.equal(asName('Éloïse Ñandú'), 'eloise.nandu');
    assert.equal(asName('..'), undefined);
    assert.equal(asName('日本'), undefined);
    assert.equal(asName('a'.repeat(129)), undefined);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const name = asName(text);
        assert.ok(name === undefined || isName(name), name);
      }),
    );
  });
});
