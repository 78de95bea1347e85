import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '../../../src/core/base/bytes.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { HashTree, isNewer, type Leaf, leavesMax } from '../../../src/core/overlay/kouncil/hash-tree.ts';

const leafAt = (i: number, serial = 1, mark = '00'.repeat(8)): Leaf => ({
  node: toHex(hash(Buffer.from(`node ${i}`))),
  serial,
  mark,
});
/** Many ids that begin alike, so that branches are deep too. */
const crowded = (i: number, serial = 1): Leaf => ({ ...leafAt(i, serial), node: `abc${leafAt(i).node.slice(3)}` });

function treeOf(leaves: readonly Leaf[]): HashTree {
  const tree = new HashTree();
  for (const leaf of leaves) tree.set(leaf);
  return tree;
}

test('the digest depends on what is held and on nothing else, as long as anything of it is', () => {
  const operation = fc.record({
    i: fc.nat(60),
    serial: fc.nat(3),
    gone: fc.boolean(),
    ask: fc.boolean(),
    deep: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
      const tree = new HashTree();
      const held = new Map<string, Leaf>();
      for (const { i, serial, gone, ask, deep } of operations) {
        const leaf = deep ? crowded(i, serial) : leafAt(i, serial);
        if (gone) {
          tree.delete(leaf.node);
          held.delete(leaf.node);
        } else {
          tree.set(leaf);
          held.set(leaf.node, leaf);
        }
        if (ask) tree.digest('');
      }
      const leaves = [...held.values()];
      assert.equal(tree.size, leaves.length);
      assert.equal(tree.digest(''), treeOf([...leaves].reverse()).digest(''));
      const other = leafAt(1000);
      assert.notEqual(tree.digest(''), treeOf([...leaves, other]).digest(''));
      for (const leaf of leaves.slice(0, 3)) {
        const newer = { ...leaf, serial: leaf.serial + 1 };
        const rest = leaves.filter((each) => each !== leaf);
        assert.notEqual(tree.digest(''), treeOf([...rest, newer]).digest(''));
      }
    }),
  );
});

test('two trees find exactly where they differ', () => {
  const part = fc.uniqueArray(fc.nat(200), { maxLength: 120 });
  fc.assert(
    fc.property(part, part, fc.boolean(), (left, right, deep) => {
      const make = deep ? crowded : leafAt;
      const [a, b] = [treeOf(left.map((i) => make(i))), treeOf(right.map((i) => make(i)))];
      const found = new Set<string>();
      const open = [''];
      for (let prefix = open.pop(); prefix !== undefined; prefix = open.pop()) {
        const branch = b.branch(prefix, a.digest(prefix));
        if (branch.type === 'children') {
          const children = branch.digests.map((digest, i) => ({ digest, child: prefix + i.toString(16) }));
          open.push(...children.filter(({ digest, child }) => digest !== a.digest(child)).map(({ child }) => child));
        } else if (branch.type === 'leaves') {
          assert.ok(branch.leaves.length <= leavesMax);
          const theirs = new Set(branch.leaves.map(({ node }) => node));
          const ours = new Set(a.under(prefix).map(({ node }) => node));
          for (const node of theirs) if (!ours.has(node)) found.add(node);
          for (const node of ours) if (!theirs.has(node)) found.add(node);
        }
      }
      const wanted = [...left.filter((i) => !right.includes(i)), ...right.filter((i) => !left.includes(i))];
      assert.deepEqual([...found].sort(), wanted.map((i) => make(i).node).sort());
    }),
  );
});

test('of two versions one is newer, the same for everybody', () => {
  const [old, fresh] = [leafAt(1, 1, 'ff'.repeat(8)), leafAt(1, 2)];
  assert.ok(isNewer(fresh, old) && !isNewer(old, fresh));
  assert.ok(isNewer(old, undefined) && !isNewer(old, old));
  const twin = leafAt(1, 2, '01'.repeat(8));
  assert.ok(isNewer(twin, fresh) && !isNewer(fresh, twin));
});

test('digests are kept only of branches with children: others may ask about any prefix', () => {
  const tree = treeOf(Array.from({ length: 300 }, (_, i) => leafAt(i)));
  for (let i = 0; i < 2000; i++) tree.branch(toHex(hash(Buffer.from(`ask ${i}`))).slice(0, 16), '');
  tree.digest('');
  const kept = (tree as unknown as { digests: Map<string, string> }).digests;
  assert.ok(kept.size <= 17, `${kept.size} digests are kept`);
});
