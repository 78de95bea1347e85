// Nodes that come and go, and pointers that are wrong: joins, goodbyes, nodes that hand over all they hold and leave for good, and
// ring pointers that are anything at all.

import { asError, isError } from '../../../src/core/base/errors.ts';
import { cut, type Position } from '../../../src/core/overlay/chord/state.ts';
import type { Life } from '../runtime/host.ts';
import { needsOf } from '../watch/drained.ts';
import type { Actor } from './cast.ts';
import type { DiskFaults } from './disk-faults.ts';
import { mayLeave } from './failure-model.ts';
import type { FaultKit } from './fault-kit.ts';

/** So many nodes stay. */
const stayMin = 3;

export class MemberFaults {
  /** How many have left for good. */
  drained = 0;
  private readonly kit: FaultKit;
  private readonly disks: DiskFaults;
  /** Processes that were told to end. */
  private readonly leaving = new WeakSet<Life>();

  constructor(kit: FaultKit, disks: DiskFaults) {
    this.kit = kit;
    this.disks = disks;
  }

  join(): boolean {
    const { kit } = this;
    const spare = kit.pick(kit.cast.of('storage').filter(({ wanted }) => !wanted));
    if (!spare) return false;
    kit.reach(spare.wasDrained ? 'join of one that was drained' : 'join');
    if (spare.down) spare.device.host.restart();
    kit.watch.stores.of(spare.device.host).isAway = false;
    void kit.cast.start(spare);
    return true;
  }

  /** Says goodbye, and comes back later. */
  leave(): boolean {
    const { kit } = this;
    const node = kit.spare();
    if (!node?.ready) return false;
    kit.reach('leave');
    const { life } = node.device.host;
    const gone = () => {
      if (node.device.host.life !== life || node.down) return;
      kit.cast.crash(node, false);
      kit.after(kit.between(500, 8_000), () => kit.cast.restart(node));
    };
    kit.hinder(node, 15_000, gone);
    this.leaving.add(life);
    void node.device.linked
      ?.close()
      .catch(() => {})
      .then(() => kit.world.schedule(0, 'left', gone));
    return true;
  }

  /** `network drain`: hands over what it holds whatever happens meanwhile, and goes when it says that nobody needs it. */
  drain(): boolean {
    const { kit } = this;
    const { cast, watch } = kit;
    const node = kit.pick(kit.usable);
    const some = kit.usable.length === cast.storage.length && cast.storage.length > stayMin;
    if (!node?.ready || cast.isDraining || !some || !mayLeave(watch, cast)) return false;
    kit.reach('drain');
    const { life } = node.device.host;
    cast.draining = life;
    void this.handOver(node, life)
      .catch((error: unknown) => {
        // Then the node stays what it was.
        if (isError(error, 'unavailable')) watch.coverage.reach('drain/nobody could take over');
        else if (isError(error, 'cancelled') && this.leaving.has(life))
          watch.coverage.reach('drain/given up by a process that ends');
        else watch.report('progress', `${node.name} drains: ${asError(error).message}`);
      })
      .then(() => {
        if (cast.draining === life) cast.draining = undefined;
      });
    return true;
  }

  private async handOver(node: Actor, life: Life): Promise<void> {
    const { kit } = this;
    const { linked } = node.device;
    const progress = await linked?.node.drain?.run(new AbortController().signal);
    if (!linked || !progress || !life.alive) return;
    kit.reach('drained');
    for (const need of needsOf(kit.watch, node.device.host, progress.copies))
      kit.watch.report('drained', `${node.name} says that it is drained, and ${need}`);
    this.drained++;
    node.wanted = false;
    node.wasDrained = true;
    await linked.close().catch(() => {});
    kit.cast.crash(node, false);
    // It may come back: with what it had when it went, or with an empty disk.
    if (kit.random.below(2) === 0) this.disks.empty(node);
    else kit.watch.stores.of(node.device.host).isAway = true;
  }

  /** Pointers of a node's positions are anything at all that is in order (7.13): a hint, and no more than that. */
  scramble(): boolean {
    const { kit } = this;
    const node = kit.pick(kit.usable);
    const overlay = node?.device.linked?.node.overlay as unknown as
      | { machine?: { ring: { positions: readonly Position[]; version: number } } }
      | undefined;
    const machine = overlay?.machine;
    if (!machine) return false;
    kit.reach('ring scrambled');
    const positions = machine.ring.positions.map((position) => {
      const list = cut(
        position.self,
        position.list.filter(() => kit.random.below(2) === 0),
      );
      return { ...position, list, spare: [], pred: kit.pick(position.list), heard: '' };
    });
    machine.ring = { ...machine.ring, positions, version: machine.ring.version + 1 };
    return true;
  }
}
