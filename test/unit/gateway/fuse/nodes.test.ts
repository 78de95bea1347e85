import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Nodes, OpenFiles } from '../../../../src/core/gateway/fuse/nodes.ts';

const place = (directory: number, name: string) => ({ directory, name: Buffer.from(name) });

const root = 1;
const isKnown = (nodes: Nodes, inode: number) => nodes.nodesOf(inode).length > 0;

describe('nodes', () => {
  test('an inode is known until all lookups are forgotten', () => {
    const nodes = new Nodes();
    nodes.add(5);
    nodes.add(5);
    nodes.forget(5, 1);
    assert.ok(isKnown(nodes, 5));
    nodes.forget(5, 1);
    assert.ok(!isKnown(nodes, 5));
    nodes.forget(5, 1);
    nodes.add(5);
    nodes.forget(5, 99);
    assert.ok(!isKnown(nodes, 5));
    assert.ok(isKnown(nodes, root));
  });

  test('names move with renames and go with their inode', () => {
    const nodes = new Nodes();
    const found = (inode: number, directory: number, name: string) =>
      assert.equal(nodes.addFound(place(directory, name), inode, 'file', true), inode);
    found(5, 1, 'a');
    found(6, 1, 'b');
    found(5, 2, 'link');
    nodes.rename(place(1, 'a'), place(1, 'b'), 'exchange');
    assert.deepEqual(nodes.namesOf(6), [place(1, 'a')]);
    assert.deepEqual(nodes.namesOf(5), [place(2, 'link'), place(1, 'b')]);
    nodes.rename(place(1, 'b'), place(1, 'a'), 'replace');
    assert.deepEqual(nodes.namesOf(6), []);
    nodes.removeName(place(1, 'a'));
    assert.deepEqual(nodes.namesOf(5), [place(2, 'link')]);
    found(6, 2, 'link');
    assert.deepEqual([nodes.namesOf(5), nodes.namesOf(6)], [[], [place(2, 'link')]]);
    nodes.forget(6, 2);
    assert.deepEqual(nodes.namesOf(6), []);
    nodes.addFound(place(1, 'c'), 5, 'file', false);
    assert.deepEqual(nodes.namesOf(5), [], 'what is not cached needs no name');
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
            nodes.addFound(at(one.name), one.inode, 'file', true);
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

describe('a directory', () => {
  const found = (nodes: Nodes, directory: number, name: string, inode: number) =>
    nodes.addFound(place(directory, name), inode, 'directory', false);

  test('found where it was not told of is another node, of the same inode', () => {
    const nodes = new Nodes();
    assert.equal(found(nodes, root, 'd', 5), 5);
    assert.equal(found(nodes, root, 'd', 5), 5);
    const other = found(nodes, root, 'e', 5);
    assert.notEqual(other, 5);
    assert.equal(found(nodes, root, 'e', 5), other);
    assert.equal(found(nodes, root, 'd', 5), 5, 'back where it was');
    assert.deepEqual([nodes.inodeOf(5), nodes.inodeOf(other)], [5, 5]);
    assert.deepEqual(nodes.nodesOf(5), [5, other]);
    assert.ok(nodes.hasSeveral(5));
    nodes.forget(5, 3);
    assert.deepEqual([nodes.nodesOf(5), nodes.hasSeveral(5)], [[other], false]);
    nodes.forget(other, 2);
    assert.deepEqual([nodes.nodesOf(5), nodes.size], [[], 0]);
    assert.equal(found(nodes, root, 'e', 5), 5, 'when nothing is known of it');
    assert.notEqual(found(nodes, root, 'd', 5), other, 'numbers are not used again');
  });

  test('the kernel renames itself keeps its node', () => {
    const nodes = new Nodes();
    for (const [name, inode] of [['d', 5] as const, ['to', 6] as const]) found(nodes, root, name, inode);
    nodes.rename(place(root, 'd'), place(6, 'e'), 'replace');
    assert.equal(found(nodes, 6, 'e', 5), 5);
    assert.notEqual(found(nodes, root, 'd', 5), 5);
  });

  test('is not taken along by a rename of what came to its place', () => {
    const nodes = new Nodes();
    found(nodes, root, 'd', 5);
    nodes.addFound(place(root, 'd'), 7, 'file', false);
    nodes.rename(place(root, 'd'), place(root, 'e'), 'replace');
    assert.notEqual(found(nodes, root, 'e', 5), 5);
  });

  // A kernel has one place for a node, looks again before it believes a place, and forgets what it has no place for any more.
  test('is never told of as a node that the kernel has at another place', () => {
    const nat = (max: number) => fc.nat({ max });
    const step = fc.oneof(
      { arbitrary: fc.record({ type: fc.constant('look' as const), node: nat(7), name: nat(2) }), weight: 4 },
      fc.record({ type: fc.constant('rename' as const), node: nat(7), name: nat(2), to: nat(7), toName: nat(2) }),
      fc.record({ type: fc.constant('move' as const), inode: nat(5), to: nat(6), toName: nat(2) }),
      fc.record({ type: fc.constant('drop' as const), node: nat(7) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const kernel = new OnePlaceKernel();
        for (const one of steps) {
          if (one.type === 'look') kernel.look(kernel.nth(one.node), one.name);
          else if (one.type === 'rename') kernel.rename(kernel.nth(one.node), one.name, kernel.nth(one.to), one.toName);
          else if (one.type === 'move') kernel.move(one.inode + 2, one.to + 1, one.toName);
          else kernel.drop(kernel.nth(one.node));
        }
      }),
    );
  });
});

/** Six directories below the root, which others move too. */
class OnePlaceKernel {
  private readonly nodes = new Nodes();
  private readonly tree = new Map<string, number>();
  private readonly places = new Map<number, string>([[root, '']]);
  private readonly lookups = new Map<number, number>();

  constructor() {
    for (const name of [0, 1, 2]) this.tree.set(`${root}/${name}`, name + 2).set(`${name + 2}/0`, name + 5);
  }

  nth(index: number): number {
    return [...this.places.keys()][index % this.places.size] as number;
  }

  look(node: number, name: number): number | undefined {
    const inode = this.tree.get(`${this.nodes.inodeOf(node)}/${name}`);
    if (inode === undefined) return undefined;
    const key = `${node}/${name}`;
    const found = this.nodes.addFound(place(node, `${name}`), inode, 'directory', false);
    this.lookups.set(found, (this.lookups.get(found) ?? 0) + 1);
    assert.equal(this.nodes.inodeOf(found), inode);
    assert.equal(this.places.get(found) ?? key, key);
    this.places.set(found, key);
    return found;
  }

  rename(from: number, name: number, to: number, toName: number): void {
    const node = this.look(from, name);
    if (node === undefined || !this.move(this.nodes.inodeOf(node), this.nodes.inodeOf(to), toName)) return;
    this.nodes.rename(place(from, `${name}`), place(to, `${toName}`), 'replace');
    this.places.set(node, `${to}/${toName}`);
  }

  /** By somebody else. False where it cannot be. */
  move(inode: number, directory: number, name: number): boolean {
    for (let up: number | undefined = directory; up !== undefined; up = this.parentOf(up))
      if (up === inode) return false;
    const key = `${directory}/${name}`;
    if (this.tree.has(key)) return false;
    this.tree.delete(this.keyOf(inode));
    this.tree.set(key, inode);
    return true;
  }

  /** Forgets a node. */
  drop(node: number): void {
    if (node === root) return;
    this.nodes.forget(node, this.lookups.get(node) ?? 0);
    this.lookups.delete(node);
    this.places.delete(node);
    assert.equal(this.nodes.size, this.lookups.size);
  }

  private keyOf(inode: number): string {
    return [...this.tree].find(([, value]) => value === inode)?.[0] ?? '';
  }

  private parentOf(inode: number): number | undefined {
    return inode === root ? undefined : Number(this.keyOf(inode).split('/')[0]);
  }
}

test('files left open are closed as often as they were opened', () => {
  const open = new OpenFiles();
  for (const inode of [4, 4, 5, 6]) open.add(inode);
  assert.ok(open.remove(6));
  assert.ok(!open.remove(6));
  assert.deepEqual([...open.drain()], [4, 4, 5]);
  assert.deepEqual([...open.drain()], []);
});
