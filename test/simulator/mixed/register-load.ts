// Load on registers beside trees: clients read and write a few of their own, and change their members, at once and to sets that
// have nothing in common; what they were answered is judged by `watch/history.ts`.

import { toHex, utf8 } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import type { Address, Member } from '../../../src/core/block/address.ts';
import { accessInClear } from '../../../src/core/block/register.ts';
import type { LinkedNode } from '../../../src/core/node/link.ts';
import type { SeededRandom } from '../runtime/random.ts';
import type { Coverage } from '../watch/coverage.ts';

const registersMax = 2;
const hurryMs = 300;

export class RegisterLoad {
  private readonly random: SeededRandom;
  private readonly coverage: Coverage;
  private readonly addresses: Address[] = [];
  private changing = 0;
  /** The register whose members somebody changes now. */
  private changed: Address | undefined;
  private written = 0;

  constructor(random: SeededRandom, coverage: Coverage) {
    this.random = random;
    this.coverage = coverage;
  }

  /** Makes the registers; by one client, before the others begin. */
  async found({ node, user }: LinkedNode): Promise<void> {
    for (let i = 0; i < registersMax; i++) await this.make(node, user);
  }

  private async make(node: LinkedNode['node'], user: LinkedNode['user']): Promise<void> {
    const members = this.members(node.overlay.nodes(), 3);
    // Of two, one that is gone for ever would be no minority, and what is known of a node may be old.
    if (members.length < 3) return;
    const { address } = await node.registers.create({
      owner: user,
      salt: node.runtime.random.bytes(32),
      members,
      access: accessInClear(user.publicKey, true),
      payload: utf8('r0'),
    });
    this.addresses.push(address);
  }

  async work(
    linked: LinkedNode,
    sleep: (timeMs: number) => Promise<void>,
    goOn: () => boolean,
    pauseMs: number,
  ): Promise<void> {
    while (goOn()) {
      await sleep(this.random.below(this.changed === undefined ? 2 * pauseMs : hurryMs));
      if (!goOn()) return;
      try {
        await this.operate(linked);
      } catch (error) {
        // `not-found`: another client has deleted it.
        if (!isError(error, 'unavailable', 'cancelled', 'conflict', 'denied', 'not-found')) throw error;
        this.coverage.reach(`operation/register refused: ${error.kind}`);
      }
    }
  }

  private async operate({ node, user }: LinkedNode): Promise<void> {
    if (this.addresses.length < registersMax) await this.make(node, user);
    const address = this.addresses[this.random.below(this.addresses.length)];
    if (!address) return;
    // Who sees that another changes members often does so too, of the same register.
    if (this.changed !== undefined && this.random.below(2) === 0) return this.change(node, this.changed);
    const choice = this.random.below(10);
    if (choice < 4) await node.registers.read(address);
    else if (choice < 8) await node.registers.write(address, user, () => utf8(`r${++this.written}`));
    else if (this.random.below(8) === 0) await this.remove(node, user, address);
    else await this.change(node, address);
  }

  /** Another takes its place, whatever becomes of it. */
  private async remove(node: LinkedNode['node'], user: LinkedNode['user'], address: Address): Promise<void> {
    const at = this.addresses.indexOf(address);
    if (at >= 0) this.addresses.splice(at, 1);
    await node.registers.delete(address, user);
  }

  private async change(node: LinkedNode['node'], address: Address): Promise<void> {
    const members = await this.nextMembers(node, address);
    if (members.length < 3) return;
    if (this.changing++ > 0) this.coverage.reach('register/two changes at once');
    this.changed = address;
    try {
      await node.registers.reconfigure(address, members, { timeoutMs: 10_000 });
    } finally {
      if (--this.changing === 0) this.changed = undefined;
    }
  }

  /** In one change of three nobody stays, where there are enough others. */
  private async nextMembers(node: LinkedNode['node'], address: Address): Promise<Member[]> {
    const nodes = node.overlay.nodes();
    if (this.random.below(3) === 0) {
      const before = new Set((await node.registers.read(address)).members.map((member) => toHex(member.node)));
      const others = this.members(
        nodes.filter(({ id }) => !before.has(toHex(id))),
        3,
      );
      if (others.length === 3) return others;
    }
    return this.members(nodes, 3 + (this.random.below(3) === 0 ? this.random.below(3) : 0));
  }

  /** Any nodes at all: who may vote is agreed, not computed. */
  private members(
    nodes: readonly { id: Address; stores: readonly Uint8Array[]; leaving: boolean }[],
    count: number,
  ): Member[] {
    const left = nodes.filter(({ stores, leaving }) => stores.length > 0 && !leaving);
    const out: Member[] = [];
    while (out.length < count && left.length > 0) {
      const [one] = left.splice(this.random.below(left.length), 1);
      if (one?.stores[0]) out.push({ node: one.id, store: one.stores[0] });
    }
    return out;
  }

  /** Everybody can read them in the end. */
  async readAll({ node }: LinkedNode): Promise<void> {
    for (const address of this.addresses) await node.registers.read(address);
  }
}
