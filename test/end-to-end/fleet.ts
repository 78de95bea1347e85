// Storage nodes each in a namespace of its own, and a client without a silo, in another, with a door for keys and a mount. What is
// done through the client is remembered when it was acknowledged; `verify` reads all of it again, elsewhere too. Or, instead of that
// client, several with a door each.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../src/core/base/bytes.ts';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import { openSilo } from '../../src/core/silo/registry.ts';
import { type Connection, connect, inspect, type Node, network, type Redundancy, startDoor } from './cluster.ts';
import { type Device, eventually, Lab, type Running, run, shell } from './device.ts';
import { FileLedger } from './file-ledger.ts';
import { type Host, Lan } from './lan.ts';
import { Ledger } from './ledger.ts';
import type { LineQuality } from './line.ts';
import { type Mount, mountOn } from './volume.ts';

const silo = 'disk';

export interface Member {
  readonly device: Device;
  readonly host: Host;
  /** Where its silo is. */
  readonly folder: string;
  node: Node;
}

/** A device without a silo that runs a door for keys. */
export interface Door {
  readonly device: Device;
  readonly host: Host;
  process: Running;
}

export interface FleetOptions {
  nodes: number;
  /** So many doors, and no client with a mount. */
  doors?: number;
  healMs: number;
  /** The last node's silo has a file system of its own, of so many bytes. */
  smallDiskBytes?: number;
  /** Of the lines between all of them. */
  line?: LineQuality;
  /** How long a lost node may stay away. */
  evictionDelay?: string;
}

export class Fleet {
  readonly lan: Lan;
  readonly members: Member[] = [];
  readonly doors: Door[] = [];
  readonly keys = new Ledger();
  readonly files = new FileLedger();
  private readonly lab: Lab;
  private readonly options: FleetOptions;
  private client: { device: Device; host: Host } | undefined;
  private descriptors: { kind: string; text: string }[] = [];
  private identity = '';
  private door: Running | undefined;
  private connection: Connection | undefined;
  private mount: Mount | undefined;

  private constructor(lab: Lab, lan: Lan, options: FleetOptions) {
    this.lab = lab;
    this.lan = lan;
    this.options = options;
  }

  static async open(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(new Lab(), await Lan.open(options.line), options);
    try {
      await fleet.found();
      for (let i = 1; i < options.nodes; i++) await fleet.join();
      if (options.doors === undefined) {
        fleet.client = await fleet.newClient('client');
        await fleet.enter();
      }
      for (let i = 1; i <= (options.doors ?? 0); i++) await fleet.addDoor(`door${i}`);
      return fleet;
    } catch (error) {
      await fleet.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.files.close();
    await this.connection?.close();
    await this.lab.close();
    await this.lan.close();
  }

  member(index: number): Member {
    const member = this.members[index];
    assert.ok(member);
    return member;
  }

  get clientHost(): Host {
    assert.ok(this.client);
    return this.client.host;
  }

  /** Where the client has the volume. Not to be touched from this process. */
  get mountpoint(): string {
    assert.ok(this.mount);
    return this.mount.mountpoint;
  }

  get keyStore() {
    assert.ok(this.connection);
    return this.connection.keys;
  }

  /** A new device with an empty silo joins. */
  async join(): Promise<Member> {
    const { device, host } = await this.newDevice();
    await device.run(['user', 'import'], this.identity);
    const { smallDiskBytes, nodes } = this.options;
    const isSmall = smallDiskBytes !== undefined && this.members.length === nodes - 1;
    const folder = await createSilo(device, isSmall ? smallDiskBytes : undefined);
    await this.importAll(device);
    await device.run(['network', 'link', network, '--silo', silo]);
    return this.startMember(device, host, folder);
  }

  /** What is left of the small disk is taken by others. */
  async fillDisk(): Promise<void> {
    await shell(`dd if=/dev/zero of=${this.filler} bs=64k 2> /dev/null || test -s ${this.filler}`);
  }

  async emptyDisk(): Promise<void> {
    await run('rm', [this.filler]);
  }

  private get filler(): string {
    return join(this.member(this.options.nodes - 1).folder, '..', 'filler');
  }

  /** The device starts its node again. */
  async restart(member: Member): Promise<void> {
    member.node = await member.device.startNode(network, this.peers(member));
  }

  /** What a stopped node kept is gone; who it is stays. */
  empty({ folder }: Member): void {
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  }

  /** Ends everything at once. */
  async killAll(): Promise<void> {
    await this.connection?.close();
    this.connection = undefined;
    const all = [this.door, this.mount, ...this.members.map(({ node }) => node)];
    await Promise.all(all.map((process) => process?.kill()));
    if (this.mount) await run('umount', ['--lazy', this.mount.mountpoint]).catch(() => {});
  }

  /** Starts the client's door and mount. */
  async enter(): Promise<void> {
    assert.ok(this.client);
    const { device } = this.client;
    const peers = this.peers();
    this.door = await startDoor(device, peers);
    this.mount = await mountOn(device, peers);
    this.connection = await connect(device);
  }

  /** The device starts its door again. */
  async restartDoor(door: Door): Promise<void> {
    door.process = await startDoor(door.device, this.peers());
  }

  /** All that was acknowledged, through the client and by the mount of a node that has cached none of it. */
  async verify(by: Member): Promise<void> {
    await this.keys.verify(this.keyStore);
    await this.files.verify(this.mountpoint);
    const other = await mountOn(by.device, this.peers(by));
    try {
      await this.files.verify(other.mountpoint);
    } finally {
      await other.stop('SIGINT');
    }
  }

  /**
   * Waits until no node knows of anything that has fewer copies than it should, and has nothing left to do about it; with `since`,
   * those have compared after that time what they keep with what others keep.
   */
  async healed(timeoutMs: number, since = Number.NEGATIVE_INFINITY, those = this.members): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (const member of this.members.filter(({ node }) => !node.ended)) {
      const comparedSince = those.includes(member) ? since : Number.NEGATIVE_INFINITY;
      const { device } = member;
      let ails: string | undefined;
      const isHealed = async () => {
        ails = await ailment(device, comparedSince);
        return ails === undefined;
      };
      await eventually(`${device.name} is healed`, deadline - Date.now(), isHealed).catch((error: Error) => {
        throw new Error(`${error.message}; it tells ${ails}`);
      });
    }
  }

  /** Stops all nodes that run, in order, and looks at what each keeps: where a copy is missing, or rotten. */
  async keptBy(): Promise<{ blocks: number; registers: number; missing: string[] }> {
    await this.door?.stop();
    await this.mount?.stop('SIGINT');
    const living = this.members.filter(({ node }) => !node.ended);
    await this.healed(this.options.healMs);
    for (const { node, device } of living) assert.equal(await node.stop(), 0, `${device.name}: ${node.output}`);
    const kept = await Promise.all(living.map(({ folder }) => contentsOf(folder)));
    const all = new Map<string, number>();
    for (const one of kept) for (const name of one) all.set(name, (all.get(name) ?? 0) + 1);
    const missing = [...all].filter(([, copies]) => copies < 3).map(([name, copies]) => `${name}: ${copies}`);
    const blocks = [...all.keys()].filter((name) => name.startsWith('block')).length;
    return { blocks, registers: all.size - blocks, missing };
  }

  private async found(): Promise<void> {
    const { device, host } = await this.newDevice();
    await device.run(['user', 'create', 'alice']);
    this.identity = await device.run(['user', 'export', 'alice', '--full']);
    const folder = await createSilo(device);
    const { evictionDelay } = this.options;
    const eviction = evictionDelay === undefined ? [] : ['--eviction-delay', evictionDelay];
    await device.run(['network', 'create', 'cluster', '--silo', silo, '--replication-factor', '3', ...eviction]);
    await this.export(device, 'network', 'cluster');
    await this.startMember(device, host, folder);
    await device.run(['key-value-store', 'create', 'notes', '--network', 'cluster']);
    await this.export(device, 'key-value-store', 'notes');
    await device.run(['volume', 'create', 'shared', '--network', 'cluster', ...this.peers()]);
    await this.export(device, 'volume', 'shared');
  }

  /** A device without a silo. */
  private async newClient(name: string): Promise<{ device: Device; host: Host }> {
    const host = await this.lan.host();
    const device = this.lab.device(name, 'alice', host);
    await device.run(['user', 'import'], this.identity);
    await this.importAll(device);
    await device.run(['network', 'link', network]);
    return { device, host };
  }

  private async addDoor(name: string): Promise<void> {
    const client = await this.newClient(name);
    this.doors.push({ ...client, process: await startDoor(client.device, this.peers()) });
  }

  private async newDevice(): Promise<{ device: Device; host: Host }> {
    const host = await this.lan.host();
    return { host, device: this.lab.device(`node${this.members.length + 1}`, 'alice', host) };
  }

  private async export(device: Device, kind: string, name: string): Promise<void> {
    this.descriptors.push({ kind, text: await device.run([kind, 'export', name]) });
  }

  private async importAll(device: Device): Promise<void> {
    for (const { kind, text } of this.descriptors) await device.run([kind, 'import'], text);
  }

  private async startMember(device: Device, host: Host, folder: string): Promise<Member> {
    const member = { device, host, folder, node: await device.startNode(network, this.peers()) };
    this.members.push(member);
    return member;
  }

  /** Nodes that run, but one. */
  private peers(but?: Member): string[] {
    const running = this.members.filter((member) => member !== but && !member.node.ended);
    return running.slice(0, 3).flatMap(({ node }) => ['--peer', node.endpoint]);
  }
}

/** On a file system of its own where a size is given; the folder it is in. */
async function createSilo(device: Device, bytes?: number): Promise<string> {
  const words = ['silo', 'create', 'filesystem', silo];
  if (bytes === undefined) {
    await device.run([...words, '--capacity', '4GB']);
    return device.siloFolder(silo);
  }
  const disk = join(device.home, 'small');
  mkdirSync(disk);
  await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'none', disk]);
  await device.run([...words, '--path', join(disk, 'silo')]);
  return join(disk, 'silo');
}

/** Every block, verified, and every register's key. */
async function contentsOf(path: string): Promise<string[]> {
  const opened = await openSilo({ type: 'filesystem', path }, systemRuntime({ log: { level: 'error' } }));
  const names: string[] = [];
  try {
    for (const space of ['block', 'register'] as const)
      for await (const key of opened.list(space)) {
        await opened.verify(space, key);
        names.push(`${space} ${toHex(key)}`);
      }
  } finally {
    await opened.close();
  }
  return names;
}

interface Copies extends Redundancy {
  desired_factor: number;
  under_replicated_blocks: number;
  missing_blocks: number;
  bad_blocks: number;
  compared_ms_ago?: number;
  /** By worker; what scrub has left is what its pass has not read yet. */
  work: Record<string, { backlog?: number }>;
}

/** As the node sees it; it has compared what it keeps with what others keep since then. */
/** What a node still lacks or has to do; undefined when it is healed. */
async function ailment(device: Device, since: number): Promise<string | undefined> {
  const found = await inspect<Copies>(device, 'redundancy');
  const { desired_factor, network_register_members, compared_ms_ago = Number.POSITIVE_INFINITY } = found;
  const lacking = [
    found.under_replicated_registers,
    found.under_replicated_blocks,
    found.missing_blocks,
    found.bad_blocks,
  ];
  const isWhole = lacking.every((count) => !(count > 0)) && !(network_register_members < desired_factor);
  const isBusy = Object.entries(found.work).some(([name, { backlog }]) => name !== 'scrub' && (backlog ?? 0) > 0);
  if (isWhole && Date.now() - compared_ms_ago >= since && !isBusy) return undefined;
  return JSON.stringify({ ...found, compared_too_early: Date.now() - compared_ms_ago < since });
}
