// Faults of disks: full, broken, rotten, lost, and set back to an earlier image of themselves. What is gone for ever stays within
// what the protocols promise to survive.

import { toHex } from '../../../src/core/base/bytes.ts';
import { recordHeaderBytes } from '../../../src/core/silo/entries.ts';
import { recordsOn } from '../records.ts';
import { DirectoryNode, type Disk, type DiskNode } from '../runtime/disk.ts';
import type { Actor } from './cast.ts';
import { mayLose } from './failure-model.ts';
import type { FaultKit } from './fault-kit.ts';

const siloFolder = '/home/data/blocks/disk';
/** Nodes tell others their count every five seconds: a copy set back is told by it when it is that old. */
const imageAgeMs = 12_000;

export class DiskFaults {
  private readonly kit: FaultKit;
  private readonly images = new Map<Actor, { atMs: number; folder: DiskNode; storeId: string }>();

  constructor(kit: FaultKit) {
    this.kit = kit;
  }

  full(): boolean {
    const { kit } = this;
    const node = kit.spare();
    if (!node) return false;
    kit.reach('full disk');
    const { disk } = node.device.host;
    const before = disk.capacityBytes;
    disk.capacityBytes = disk.usedBytes() + kit.random.below(256 * 1024);
    kit.hinder(node, kit.between(2_000, 12_000), () => {
      disk.capacityBytes = before;
    });
    return true;
  }

  broken(): boolean {
    const { kit } = this;
    const node = kit.spare();
    if (!node) return false;
    kit.reach('broken disk');
    const { disk } = node.device.host;
    disk.failing = true;
    // A silo that met an error refuses everything until it is opened again.
    kit.after(kit.between(200, 4_000), () => {
      disk.failing = false;
      if (!node.down) kit.cast.crash(node, false);
      kit.cast.restart(node);
    });
    kit.hinder(node, 4_000);
    return true;
  }

  lose(): boolean {
    const { kit } = this;
    const node = kit.spare();
    if (!node || !mayLose(kit.watch, kit.cast, node)) return false;
    kit.reach('disk loss');
    kit.cast.crash(node, true);
    this.empty(node);
    kit.after(kit.between(300, 6_000), () => kit.cast.restart(node));
    return true;
  }

  /** Another disk takes the place of the node's; its process does not run. */
  empty(node: Actor): void {
    const { host } = node.device;
    host.disk.replace(siloFolder, undefined);
    this.kit.watch.stores.lost(host);
    this.images.delete(node);
  }

  /** Takes an image of a disk; or, when there is one of a while ago, puts it in the disk's place. */
  setBack(): boolean {
    const { kit } = this;
    const old = [...this.images].find(
      ([node, { atMs }]) => kit.world.nowMs - atMs > imageAgeMs && kit.usable.includes(node),
    );
    if (!old) return this.takeImage();
    const [node, { folder, storeId }] = old;
    const silo = node.device.linked?.node.options.silo;
    const isSame = silo !== undefined && toHex(silo.storeId) === storeId;
    if (!isSame || kit.spare() === undefined || !mayLose(kit.watch, kit.cast, node)) return false;
    kit.reach('set-back disk');
    kit.cast.crash(node, true);
    const { host } = node.device;
    host.disk.replace(siloFolder, folder);
    kit.watch.stores.setBack(host);
    this.images.delete(node);
    kit.after(kit.between(300, 6_000), () => kit.cast.restart(node));
    return true;
  }

  private takeImage(): boolean {
    const { kit } = this;
    const node = kit.pick(kit.usable);
    const folder = node?.device.host.disk.find(siloFolder);
    const silo = node?.device.linked?.node.options.silo;
    if (!node || !silo || !(folder instanceof DirectoryNode) || this.images.has(node)) return false;
    this.images.set(node, { atMs: kit.world.nowMs, folder: folder.copy(), storeId: toHex(silo.storeId) });
    return true;
  }

  /** Bits flip where a store has written: it may have to give up its name, so it counts as one that may be lost. */
  rot(): boolean {
    const { kit } = this;
    const node = kit.spare();
    if (!node || !mayLose(kit.watch, kit.cast, node)) return false;
    const { disk } = node.device.host;
    const folder = disk.find(siloFolder);
    if (!(folder instanceof DirectoryNode)) return false;
    const segments = [...folder.entries.keys()].filter((name) => name.startsWith('segment-')).sort();
    const name = kit.pick(segments);
    if (!name) return false;
    kit.reach('bit rot');
    const mirror = kit.watch.stores.of(node.device.host);
    mirror.rotted = true;
    kit.watch.stores.doubtful.add(mirror.storeId);
    if (!kit.random.chance(0.5) || !this.rotHeader(disk)) disk.rot(`${siloFolder}/${name}`, 1 + kit.random.below(40));
    kit.after(kit.between(200, 4_000), () => node.device.linked?.node.blocks?.scrubNow());
    return true;
  }

  /** Of a record of a register or journal: these are small, and seldom hit by chance. */
  private rotHeader(disk: Disk): boolean {
    const { kit } = this;
    const records = recordsOn(disk, siloFolder).filter(({ space }) => space === 'register' || space === 'journal');
    const record = kit.pick(records);
    if (!record) return false;
    kit.reach('rotten header');
    disk.flip(record.path, record.position + kit.random.below(recordHeaderBytes), kit.random.below(8));
    return true;
  }
}
