// What every store holds, as its silo acknowledged it. After each restart the silo is compared with it (G6): skipped flushes,
// lost promises and lost blocks show here, whoever needs them. Also says which stores are gone for ever, so that a schedule
// stays within what the protocols promise to survive.

import { asBuffer, toHex } from '../../../src/core/base/bytes.ts';
import type { LogSilo } from '../../../src/core/silo/filesystem/log-silo.ts';
import type { SiloEntry, Space } from '../../../src/core/silo/silo.ts';
import { generationBytes } from '../../../src/core/store/held-blocks.ts';
import type { Host, Life } from '../runtime/host.ts';
import { digestOf } from './probes.ts';
import type { Report } from './rules.ts';

interface Held {
  bytes: number;
  /** Of registers, which are compared to the byte. */
  digest: string | undefined;
  /** Garbage generation of a block's put or touch, which stands in front of both: at least that. */
  generation: number;
  /** It was being written when the process ended: the generation may be higher. */
  unsure?: boolean;
}

/** One disk: what its silo said is durable. */
export class StoreMirror {
  readonly host: Host;
  storeId = '';
  readonly held = new Map<string, Held>();
  /** Being written: old and new are both right after a crash. */
  readonly writing = new Map<string, number>();
  /** Bits of it have rotted: values may be unreadable, and the store may take another id. */
  rotted = false;
  /** Its node has left the network: nobody gets anything from it. */
  isAway = false;

  constructor(host: Host) {
    this.host = host;
  }
}

export class Stores {
  /** Ids of stores whose disk is lost, set back or damaged: they are no member any more. */
  readonly dead = new Set<string>();
  /** Ids of stores on whose disks bits have rotted: dead as soon as they are opened again, it may be. */
  readonly doubtful = new Set<string>();
  /** Every block ever stored, by address. */
  readonly content = new Map<string, Buffer>();
  /** `generation`: of a block that went, as this disk had it. */
  onRemoved: (mirror: StoreMirror, space: Space, key: string, generation: number) => void = () => {};
  /** What dead stores held when they died, by id, and when that was. */
  private readonly graves = new Map<string, { held: Set<string>; atMs: number }>();
  private readonly mirrors = new Map<Host, StoreMirror>();
  private readonly report: Report;
  private readonly nowMs: () => number;

  constructor(report: Report, nowMs: () => number) {
    this.report = report;
    this.nowMs = nowMs;
  }

  of(host: Host): StoreMirror {
    const known = this.mirrors.get(host) ?? new StoreMirror(host);
    this.mirrors.set(host, known);
    return known;
  }

  all(): StoreMirror[] {
    return [...this.mirrors.values()];
  }

  /** Disks of the network that hold a value, their processes running or not. */
  holders(space: Space, key: string): StoreMirror[] {
    return this.all().filter(({ held, isAway }) => !isAway && held.has(`${space}/${key}`));
  }

  /** Of a block on that disk: its last put or touch there had at least this generation. */
  generationOn({ held }: StoreMirror, address: string): number {
    return Math.max(0, ...marksOf(address).map((name) => held.get(name)?.generation ?? 0));
  }

  /** Whether a block on that disk may have been put or touched there in a generation or a later one. */
  isMarked(mirror: StoreMirror, address: string, generation: number): boolean {
    if (this.generationOn(mirror, address) >= generation) return true;
    return marksOf(address).some((name) => mirror.held.get(name)?.unsure === true);
  }

  /** Whether the disk of that store holds a value. */
  has(storeId: string, space: Space, key: string): boolean {
    return this.all().some((mirror) => mirror.storeId === storeId && mirror.held.has(`${space}/${key}`));
  }

  /** Whether that store holds a value, or did when its disk was lost: a vote given before counts, a minority may be lost after it. */
  hasHeld(storeId: string, space: Space, key: string): boolean {
    return this.has(storeId, space, key) || (this.graves.get(storeId)?.held.has(`${space}/${key}`) ?? false);
  }

  /** Disks that held a value and were lost so short a time ago that their answers may still be on their way. */
  lostHolders(space: Space, key: string, withinMs: number): number {
    const since = this.nowMs() - withinMs;
    return [...this.graves.values()].filter(({ held, atMs }) => atMs >= since && held.has(`${space}/${key}`)).length;
  }

  private bury(mirror: StoreMirror): void {
    if (mirror.storeId === '') return;
    this.dead.add(mirror.storeId);
    if (!this.graves.has(mirror.storeId))
      this.graves.set(mirror.storeId, { held: new Set(mirror.held.keys()), atMs: this.nowMs() });
  }

  storing({ host }: Life, entries: readonly SiloEntry[]): void {
    const { writing } = this.of(host);
    for (const { space, key } of entries) {
      const name = `${space}/${toHex(key)}`;
      writing.set(name, (writing.get(name) ?? 0) + 1);
    }
  }

  /** Refused: what was there is there. */
  notStored({ host }: Life, entries: readonly SiloEntry[]): void {
    this.written(host, entries);
  }

  stored({ host }: Life, entries: readonly SiloEntry[]): void {
    const mirror = this.of(host);
    this.written(host, entries);
    for (const { space, key, value } of entries) {
      const name = `${space}/${toHex(key)}`;
      if (value === undefined) {
        const generation = this.generationOn(mirror, toHex(key));
        if (mirror.held.delete(name)) this.onRemoved(mirror, space, toHex(key), generation);
        continue;
      }
      const exact = space === 'register';
      const generation = space === 'block' || space === 'generation' ? asBuffer(value).readUInt32BE(0) : 0;
      mirror.held.set(name, { bytes: value.length, digest: exact ? digestOf(value) : undefined, generation });
      if (space === 'block' && !this.content.has(toHex(key)))
        this.content.set(toHex(key), asBuffer(value).subarray(generationBytes));
    }
  }

  private written(host: Host, entries: readonly SiloEntry[]): void {
    const { writing } = this.of(host);
    for (const { space, key } of entries) {
      const name = `${space}/${toHex(key)}`;
      const left = (writing.get(name) ?? 1) - 1;
      if (left > 0) writing.set(name, left);
      else writing.delete(name);
    }
  }

  /** An empty disk takes the place of the host's. */
  lost(host: Host): void {
    this.bury(this.of(host));
    this.mirrors.set(host, new StoreMirror(host));
  }

  /** The host has its disk of an earlier moment again. */
  setBack(host: Host): void {
    const mirror = this.of(host);
    this.bury(mirror);
    mirror.rotted = true;
  }

  /** A process has opened the silo: is everything there? Resolves with whether the store is the one it was. */
  async opened(life: Life, silo: LogSilo): Promise<boolean> {
    const mirror = this.of(life.host);
    const { storeId } = mirror;
    if (storeId !== toHex(silo.storeId)) this.bury(mirror);
    mirror.storeId = toHex(silo.storeId);
    if (storeId !== '' && storeId !== mirror.storeId) {
      if (!mirror.rotted) this.report('G6', `${life.host.name} took another store id though its disk was sound`);
      await this.recount(mirror, silo);
      return false;
    }
    for (const [name, held] of mirror.held) if (!mirror.rotted) await this.compare(mirror, silo, name, held);
    await this.adopt(mirror, silo);
    return true;
  }

  /** The running process took another id. */
  renamed({ host }: Life, silo: LogSilo): void {
    const mirror = this.of(host);
    const now = toHex(silo.storeId);
    if (mirror.storeId === now) return;
    this.bury(mirror);
    mirror.storeId = now;
  }

  private async compare(mirror: StoreMirror, silo: LogSilo, name: string, held: Held): Promise<void> {
    if (mirror.writing.has(name)) return;
    const [space, key] = partsOf(name);
    const bytes = await silo.size(space, key);
    if (bytes !== held.bytes)
      this.report(
        'G6',
        `${mirror.host.name} acknowledged ${name} of ${held.bytes} bytes and has ${bytes} after a restart`,
      );
  }

  /** What was being written when the process ended is now one or the other. */
  private async adopt(mirror: StoreMirror, silo: LogSilo): Promise<void> {
    for (const name of mirror.writing.keys()) await this.look(mirror, silo, name);
    mirror.writing.clear();
  }

  private async recount(mirror: StoreMirror, silo: LogSilo): Promise<void> {
    for (const name of [...mirror.held.keys()]) await this.look(mirror, silo, name);
    mirror.writing.clear();
  }

  private async look(mirror: StoreMirror, silo: LogSilo, name: string): Promise<void> {
    const [space, key] = partsOf(name);
    const bytes = await silo.size(space, key);
    const generation = mirror.held.get(name)?.generation ?? 0;
    if (bytes === undefined) mirror.held.delete(name);
    else mirror.held.set(name, { bytes, digest: undefined, generation, unsure: true });
  }

  /** Registers of an opened silo, to the byte: these reads take the process's time. */
  async compareContent(life: Life, silo: LogSilo): Promise<void> {
    const mirror = this.of(life.host);
    for (const [name, { digest }] of [...mirror.held]) {
      if (digest === undefined || mirror.rotted) continue;
      const [space, key] = partsOf(name);
      const value = await silo.get(space, key).catch(() => undefined);
      const now = mirror.held.get(name);
      if (!life.alive || now?.digest !== digest || mirror.writing.has(name)) continue;
      if (value === undefined || digestOf(value) !== digest)
        this.report('G6', `${life.host.name} does not hold ${name} as it acknowledged it`);
    }
  }
}

/** Where the generation of a block stands. */
function marksOf(address: string): string[] {
  return [`block/${address}`, `generation/${address}`];
}

function partsOf(name: string): [Space, Buffer] {
  const at = name.indexOf('/');
  return [name.slice(0, at) as Space, Buffer.from(name.slice(at + 1), 'hex')];
}
