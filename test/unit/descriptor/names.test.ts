import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkName, isName, isQualifiedName, qualify, splitQualified } from '../../../src/core/descriptor/names.ts';
import { failsWith } from './support.ts';

const refused = [
  '',
  'Alice',
  'élan',
  'a+b',
  'a/b',
  'a*',
  '.',
  '..',
  '.a',
  "a'b",
  'a"b',
  'a b',
  ' ',
  'a\n',
  'имя',
  'a\0',
];

test('the name rule', () => {
  for (const name of ['eve_2', 'o', '2zio', '-dash', '-lol-', 'first.last', '_x_', 'a'.repeat(128)])
    assert.equal(checkName('user', name), name);
  for (const name of [...refused, 'a'.repeat(129)]) {
    assert.equal(isName(name), false, JSON.stringify(name));
    assert.throws(() => checkName('user', name), failsWith('usage', /^invalid user name/));
  }
});

test('a bare name belongs to the acting user', () => {
  assert.equal(qualify('network', 'cluster', 'alice'), 'alice/cluster');
  assert.equal(qualify('network', 'bob/cluster', 'alice'), 'bob/cluster');
  assert.deepEqual(splitQualified('network', 'bob/cluster'), { owner: 'bob', name: 'cluster' });
  for (const name of ['a/b/c', '/b', 'a/', '/', '../b', 'a/..', 'A/b'])
    assert.throws(() => qualify('network', name, 'alice'), failsWith('usage', /^invalid network/));
  assert.throws(() => qualify('network', 'cluster', 'Alice'), failsWith('usage', /invalid user name/));
  assert.deepEqual(['a/b', 'a', 'a/b/c', 'a/.b'].map(isQualifiedName), [true, false, false, false]);
});
