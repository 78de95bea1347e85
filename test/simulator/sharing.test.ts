// A tree shared and taken away under faults: the owner's and others' processes crash, links are cut, lists change all the time. What
// was acknowledged is never lost (P1); nobody left out reads what came after, or gets anything done (P2, P3).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bytes, toHex } from '../../src/core/base/bytes.ts';
import { decode } from '../../src/core/base/codec.ts';
import { isError } from '../../src/core/base/errors.ts';
import { rootHeader } from '../../src/core/consensus/consensus.ts';
import { type KeyPair, keyPairFromSeed } from '../../src/core/crypto/keys.ts';
import { openSecret } from '../../src/core/tree/access.ts';
import { deriveTreeKeys, openRootBody } from '../../src/core/tree/root.ts';
import { add, get, type Opened, TreeWorld } from '../fakes/fake-tree.ts';

const seeds = Array.from({ length: 12 }, (_, i) => i + 1);
const steps = 30;

type Mode = 'none' | 'r' | 'rw';
interface Other {
  name: string;
  user: KeyPair;
  mode: Mode;
  opened: Opened | undefined;
  /** Every secret he was ever given. */
  secrets: Bytes[];
}

class Course {
  readonly tree: TreeWorld;
  private readonly others: Other[] = ['bob', 'carol'].map((name) => ({
    ...{ name, user: keyPairFromSeed(Buffer.alloc(32, name)), mode: 'none' as const, opened: undefined, secrets: [] },
  }));
  private owner: Opened | undefined;
  private serial = 0;
  acknowledged = 0;
  attempted = 0;
  shared = 0;
  refused = 0;

  constructor(seed: number) {
    this.tree = new TreeWorld({ seed, delayMs: [1, 20] });
  }

  async run(): Promise<void> {
    const { tree } = this;
    await tree.found();
    this.owner = await tree.open('owner');
    for (let i = 0; i < steps; i++) await this.step();
    tree.world.heal();
    this.owner?.process.crash();
    const last = await this.open('owner');
    const value = await tree.world.until(get(last.tree, 'n'));
    assert.ok(value >= this.acknowledged, `${this.acknowledged} were acknowledged, ${value} are there`);
    assert.ok(value <= this.attempted, `${this.attempted} were asked for, ${value} are there`);
  }

  private async step(): Promise<void> {
    const { world } = this.tree;
    const other = this.others[world.below(2)] as Other;
    const dice = world.below(10);
    if (dice < 3) await this.share();
    else if (dice < 6) await this.work(other);
    else if (dice < 7) await this.addAs(await this.openedOwner(), true);
    else if (dice < 8) this.crash(other);
    else if (dice < 9) this.crash(undefined);
    else {
      world.cut(this.owner?.process.name ?? '', other.opened?.process.name ?? '');
      await world.run(world.below(8000));
      world.heal();
    }
    await world.run(world.below(3000));
    for (const one of this.others) this.checkSealed(one);
  }

  /** To whom, drawn anew. */
  private async share(): Promise<void> {
    const { world } = this.tree;
    const owner = await this.openedOwner();
    const modes = this.others.map(() => (['none', 'r', 'rw'] as const)[world.below(3)] as Mode);
    const users = this.others.flatMap(({ user }, i) =>
      modes[i] === 'none' ? [] : [{ key: user.publicKey, write: modes[i] === 'rw' }],
    );
    await world.until(owner.tree.share(() => ({ users, world: 'none' })));
    this.shared++;
    for (const [i, other] of this.others.entries()) other.mode = modes[i] as Mode;
    for (const other of this.others) {
      const secret = this.secretOf(other);
      assert.equal(secret !== undefined, other.mode !== 'none', `${other.name} has ${other.mode}`);
      if (secret !== undefined) other.secrets.push(secret);
    }
  }

  private async work(other: Other): Promise<void> {
    const { world } = this.tree;
    if (other.mode === 'none' && other.opened === undefined) return;
    other.opened ??= await this.open(other.name, other.user);
    const done = await this.addAs(other.opened, other.mode === 'rw');
    assert.ok(!done || other.mode === 'rw', `${other.name} wrote with ${other.mode}`);
    const read = await world.until(
      get(other.opened.tree, 'n').then(
        () => true,
        (error: unknown) => !isError(error, 'denied'),
      ),
    );
    assert.equal(read, other.mode !== 'none', `${other.name} reads with ${other.mode}`);
  }

  /** Whether it was acknowledged. */
  private async addAs({ tree }: Opened, may: boolean): Promise<boolean> {
    this.attempted++;
    try {
      await this.tree.world.until(add(tree, 'n'));
      this.acknowledged++;
      return true;
    } catch (error) {
      if (!isError(error, 'denied', 'unavailable')) throw error;
      assert.ok(!may || isError(error, 'unavailable'), 'somebody who may was denied');
      this.refused++;
      return false;
    }
  }

  private crash(other: Other | undefined): void {
    const opened = other ? other.opened : this.owner;
    opened?.process.crash();
    if (other) other.opened = undefined;
    else this.owner = undefined;
  }

  private async openedOwner(): Promise<Opened> {
    this.owner ??= await this.open('owner');
    return this.owner;
  }

  private open(name: string, user = this.tree.owner): Promise<Opened> {
    return this.tree.open(`${name}-${++this.serial}`, { user });
  }

  private agreed() {
    return this.tree.cluster.registers.get(toHex(this.tree.rootAddress))?.snapshot ?? assert.fail();
  }

  private secretOf({ user }: Other): Bytes | undefined {
    try {
      return openSecret(this.agreed().access, user);
    } catch (error) {
      if (isError(error, 'denied')) return undefined;
      throw error;
    }
  }

  /** Nothing he was ever given opens what there is now. */
  private checkSealed({ name, mode, secrets }: Other): void {
    if (mode !== 'none') return;
    const header = decode(rootHeader, this.agreed().payload);
    for (const secret of secrets)
      assert.throws(
        () => openRootBody(deriveTreeKeys(secret), header),
        (error) => isError(error, 'corrupt'),
        name,
      );
  }
}

test('lists change under crashes and cuts: nothing acknowledged is lost, nobody left out reads or writes', async () => {
  let [shared, refused, acknowledged] = [0, 0, 0];
  for (const seed of seeds) {
    const course = new Course(seed);
    try {
      await course.run();
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
    shared += course.shared;
    refused += course.refused;
    acknowledged += course.acknowledged;
  }
  assert.ok(
    shared > 50 && refused > 20 && acknowledged > 50,
    `${shared} lists, ${refused} refusals, ${acknowledged} done`,
  );
});
