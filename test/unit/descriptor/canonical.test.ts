import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from '../../../src/core/descriptor/canonical.ts';
import { failsWith } from './support.ts';

const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger().filter((n) => !Object.is(n, -0)),
    fc.string({ unit: 'grapheme' }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string({ unit: 'grapheme' }), tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reversed(inner)]),
  );
}

test('one value has one canonical form, whatever the order of its fields, and it reads back', () => {
  fc.assert(
    fc.property(json, (value) => {
      const bytes = canonicalJson(value);
      assert.deepEqual(canonicalJson(reversed(value)), bytes);
      assert.deepEqual(JSON.parse(bytes.toString('utf8')), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('the form is this one', () => {
  const value = { b: [1, null, true], a: 'é"\n', B: { z: undefined, y: -3 } };
  assert.equal(canonicalJson(value).toString('utf8'), '{"B":{"y":-3},"a":"é\\"\\n","b":[1,null,true]}');
});

test('what has no canonical form is refused', () => {
  const loop: unknown[] = [];
  loop.push(loop);
  for (const value of [0.5, -0, 2 ** 53, Number.NaN, '\ud800', loop, undefined, () => 1, 1n])
    assert.throws(() => canonicalJson({ value: [value] }), failsWith('corrupt', /canonical/));
});
