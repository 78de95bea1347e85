import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Nodes, OpenFiles } from '../../../../src/core/gateway/fuse/nodes.ts';

const place = (directory: number, name: string) => ({ directory, name: Buffer.from(name) });

describe('nodes', () => {
  test('an inode is known until all lookups are forgotten', () => {
    const nodes = new Nodes();
    nodes.add(5);
    nodes.add(5);
    nodes.forget(5, 1);
    assert.ok(nodes.isKnown(5));
    nodes.forget(5, 1);
    assert.ok(!nodes.isKnown(5));
    nodes.forget(5, 1);
    nodes.add(5);
    nodes.forget(5, 99);
    assert.ok(!nodes.isKnown(5));
    assert.ok(nodes.isKnown(1));
  });

  test('names move with renames and go with their inode', () => {
    const nodes = new Nodes();
    for (const inode of [5, 6]) nodes.add(inode);
    nodes.addName(1, Buffer.from('a'), 5);
    nodes.addName(1, Buffer.from('b'), 6);
    nodes.addName(2, Buffer.from('link'), 5);
    nodes.rename(place(1, 'a'), place(1, 'b'), 'exchange');
    assert.deepEqual(nodes.namesOf(6), [place(1, 'a')]);
    assert.deepEqual(nodes.namesOf(5), [place(2, 'link'), place(1, 'b')]);
    nodes.rename(place(1, 'b'), place(1, 'a'), 'replace');
    assert.deepEqual(nodes.namesOf(6), []);
    nodes.removeName(place(1, 'a'));
    assert.deepEqual(nodes.namesOf(5), [place(2, 'link')]);
    nodes.addName(2, Buffer.from('link'), 6);
    assert.deepEqual([nodes.namesOf(5), nodes.namesOf(6)], [[], [place(2, 'link')]]);
    nodes.forget(6, 1);
    assert.deepEqual(nodes.namesOf(6), []);
  });

  test('a name stands for the inode it was last told of, as in a plain map', () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant('add' as const), name: fc.nat({ max: 5 }), inode: fc.integer({ min: 2, max: 5 }) }),
      fc.record({ type: fc.constant('remove' as const), name: fc.nat({ max: 5 }) }),
      fc.record({ type: fc.constant('forget' as const), inode: fc.integer({ min: 2, max: 5 }) }),
      fc.record({ type: fc.constant('rename' as const), name: fc.nat({ max: 5 }), to: fc.nat({ max: 5 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const nodes = new Nodes();
        const model = new Map<number, number>();
        const at = (name: number) => place(1, `n${name}`);
        for (const one of steps) {
          if (one.type === 'add') {
            nodes.add(one.inode);
            nodes.addName(1, at(one.name).name, one.inode);
            model.set(one.name, one.inode);
          } else if (one.type === 'remove') {
            nodes.removeName(at(one.name));
            model.delete(one.name);
          } else if (one.type === 'forget') {
            nodes.forget(one.inode, 1000);
            for (const [name, inode] of [...model]) if (inode === one.inode) model.delete(name);
          } else {
            nodes.rename(at(one.name), at(one.to), 'replace');
            const moved = model.get(one.name);
            model.delete(one.name);
            model.delete(one.to);
            if (moved !== undefined) model.set(one.to, moved);
          }
        }
        for (const inode of [2, 3, 4, 5]) {
          const names = nodes.namesOf(inode).map(({ name }) => name.toString());
          const wanted = [...model].filter(([, value]) => value === inode).map(([name]) => `n${name}`);
          assert.deepEqual(names.sort(), wanted.sort());
        }
      }),
    );
  });
});

test('files left open are closed as often as they were opened', () => {
  const open = new OpenFiles();
  for (const inode of [4, 4, 5, 6]) open.add(inode);
  assert.ok(open.remove(6));
  assert.ok(!open.remove(6));
  assert.deepEqual([...open.drain()], [4, 4, 5]);
  assert.deepEqual([...open.drain()], []);
});
