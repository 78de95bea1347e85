// Who plays in a simulation of mixed faults: storage nodes, spares that join later, clients of keys, clients of files; and what
// starting and stopping them means.

import { isError } from '../../../src/core/base/errors.ts';
import type { Life } from '../runtime/host.ts';
import type { World } from '../runtime/world.ts';
import type { Coverage } from '../watch/coverage.ts';
import type { Cluster, Device } from '../whole.ts';

export type Role = 'storage' | 'keys' | 'files';

export interface Actor {
  readonly device: Device;
  readonly role: Role;
  readonly name: string;
  /** Taking part: its process should run. */
  wanted: boolean;
  /** Crashed or stopped, and not started again yet. */
  down: boolean;
  /** It had left for good. */
  wasDrained: boolean;
  /** Its node runs, and what it does there has begun. */
  ready: boolean;
  /** What it does once its node runs; for clients. */
  begin: (actor: Actor) => Promise<void>;
}

export class Cast {
  readonly world: World;
  readonly cluster: Cluster;
  readonly actors: Actor[];
  /** Errors that no fault explains. */
  onError: (actor: Actor, error: unknown) => void = () => {};
  private readonly coverage: Coverage;

  /** The process that hands over what its node holds, to leave for good. */
  draining: Life | undefined;

  constructor(world: World, cluster: Cluster, roles: readonly Role[], coverage: Coverage) {
    this.world = world;
    this.cluster = cluster;
    this.coverage = coverage;
    this.actors = cluster.devices.map((device, i) => ({
      device,
      role: roles[i] ?? 'storage',
      name: device.host.name,
      wanted: false,
      down: false,
      wasDrained: false,
      ready: false,
      begin: async () => {},
    }));
  }

  get isDraining(): boolean {
    return this.draining?.alive === true;
  }

  of(role: Role): Actor[] {
    return this.actors.filter((actor) => actor.role === role);
  }

  /** Storage nodes that take part. */
  get storage(): Actor[] {
    return this.of('storage').filter(({ wanted }) => wanted);
  }

  get running(): Actor[] {
    return this.storage.filter(({ down }) => !down);
  }

  get clients(): Actor[] {
    return this.actors.filter(({ role, wanted }) => role !== 'storage' && wanted);
  }

  seeds() {
    return this.running.map(({ device }) => device.endpoint);
  }

  /** Starts the process and what it does; tries again while that fails for want of others. */
  async start(actor: Actor): Promise<void> {
    const { device, role } = actor;
    actor.wanted = true;
    actor.down = false;
    const { life } = device.host;
    for (;;) {
      try {
        const seeds = this.seeds().filter(({ host }) => host !== actor.name);
        await (role === 'storage' ? device.startNode(seeds) : device.startClient(seeds));
        await actor.begin(actor);
        actor.ready = device.host.life === life;
        return;
      } catch (error) {
        if (device.host.life !== life || !life.alive) return;
        if (!isError(error, 'unavailable', 'cancelled', 'conflict', 'lost', 'denied')) {
          this.onError(actor, error);
          return;
        }
        this.coverage.reach(`cast/${role} starts again: ${error.kind}`);
        await device.linked?.close().catch(() => {});
        await device.host.runtime.clock.sleep(1_000);
      }
    }
  }

  crash(actor: Actor, power: boolean): void {
    actor.down = true;
    actor.ready = false;
    const { disk } = actor.device.host;
    const { tornPages } = disk;
    actor.device.crash(power);
    if (disk.tornPages > tornPages) this.coverage.reach('fault/torn write');
  }

  restart(actor: Actor): void {
    if (!actor.down || !actor.wanted) return;
    actor.device.host.restart();
    void this.start(actor);
  }
}
