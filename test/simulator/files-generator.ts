// Random steps for the differential test of files: few names, so that they collide; few places, so that files are shared; what
// is there is preferred, so that most operations do something.

import type { FilesExecutor } from './files-executor.ts';
import { type Operation, type Path, type Place, type Step, type StepBody, slotsAClient } from './files-steps.ts';

const MiB = 1024 * 1024;
const depthMax = 4;
/** `Buffer.from(name, 'latin1')`: the last three are no UTF-8, or as long as can be. */
const names = [
  'a',
  'b',
  'c',
  'd',
  'e',
  'f',
  'g',
  'h',
  'i',
  'j',
  'k.txt',
  ' ',
  '\xff\xfe',
  '\xc3',
  `${'x'.repeat(254)}\x80`,
];
const attributeNames = ['user.a', 'user.b', 'trusted.c'];

const weights: Record<Operation, number> = {
  file: 12,
  directory: 9,
  symlink: 2,
  fifo: 1,
  link: 6,
  rename: 14,
  unlink: 6,
  rmdir: 6,
  readlink: 1,
  list: 4,
  stat: 6,
  flush: 2,
  write: 16,
  read: 12,
  truncate: 6,
  chmod: 2,
  chown: 2,
  utimes: 2,
  allocate: 6,
  seek: 4,
  setExtended: 4,
  getExtended: 2,
  removeExtended: 2,
  listExtended: 1,
  open: 5,
  unnamed: 1,
  linkSlot: 1,
  close: 3,
  sync: 1,
};

export interface GeneratorOptions {
  seed: number;
  clients: number;
  /** All by default. */
  operations?: readonly Operation[] | undefined;
  /** Bytes a file may have. */
  fileBytesMax?: number | undefined;
}

export class StepGenerator {
  private readonly next: () => number;
  private readonly clients: number;
  private readonly choices: Operation[];
  private readonly fileBytesMax: number;
  /** Set-user-id and set-group-id of files are cleared by kernels, in their own ways. */
  private readonly specialModes: boolean;
  private fill = 0;

  constructor({ seed, clients, operations, fileBytesMax = 2 * MiB }: GeneratorOptions) {
    this.next = generator(seed);
    this.clients = clients;
    this.fileBytesMax = fileBytesMax;
    this.specialModes = operations === undefined;
    const allowed = operations ?? (Object.keys(weights) as Operation[]);
    this.choices = allowed.flatMap((operation) => Array<Operation>(weights[operation]).fill(operation));
  }

  /** What is there is asked of the model. */
  async step(model: FilesExecutor): Promise<Step> {
    const body = await this.body(this.pick(this.choices), model);
    return { client: this.below(this.clients), ...body };
  }

  private async body(op: Operation, model: FilesExecutor): Promise<StepBody> {
    const there = (type?: string) => this.path(model, { chance: 0.93, type });
    const anywhere = () => this.path(model, { chance: 0.3 });
    switch (op) {
      case 'directory':
        return { op, path: await this.path(model, { chance: 0.1 }), mode: this.pick([0o755, 0o700, 0o777]) };
      case 'file':
      case 'fifo':
        return { op, path: await this.path(model, { chance: 0.1 }), mode: this.pick([0o644, 0o600, 0o755, 0o700]) };
      case 'symlink':
        return { op, path: await anywhere(), target: `nowhere/${'t'.repeat(this.below(300))}` };
      case 'link':
        return { op, from: await there('file'), to: await anywhere() };
      case 'rename': {
        const modes = this.specialModes
          ? (['replace', 'replace', 'no-replace', 'exchange'] as const)
          : (['replace'] as const);
        return { op, from: await there(), to: await anywhere(), mode: this.pick(modes) };
      }
      case 'unlink':
        return { op, path: await there('file') };
      case 'rmdir':
      case 'list':
        return { op, path: await there('directory') };
      case 'readlink':
        return { op, path: await there('symlink') };
      case 'chmod': {
        const modes = this.specialModes ? [0o777, 0o4755, 0o2775, 0o1777, 0] : [0o777, 0o755, 0o1777, 0o700];
        return { op, path: await there(), mode: this.pick(modes) };
      }
      case 'chown':
        return { op, path: await there(), uid: this.below(3) * 1000, gid: this.below(3) * 1000 };
      case 'utimes':
        return { op, path: await there(), seconds: this.below(2_000_000_000) };
      case 'open':
        return { op, path: await there('file'), slot: this.below(slotsAClient) };
      case 'unnamed':
        return { op, path: (await there()).slice(0, -1), slot: this.below(slotsAClient), mode: 0o600 };
      case 'linkSlot':
        return { op, slot: this.below(slotsAClient), to: await anywhere() };
      case 'close':
        return { op, slot: this.below(slotsAClient) };
      case 'sync':
        return { op };
      case 'setExtended':
      case 'getExtended':
      case 'removeExtended':
      case 'listExtended':
        return this.extended(op, await there());
      default:
        return this.onPlace(op, this.below(5) === 0 ? this.below(slotsAClient) : await there('file'));
    }
  }

  private onPlace(op: 'stat' | 'flush' | 'write' | 'read' | 'truncate' | 'allocate' | 'seek', at: Place): StepBody {
    const offset = this.offset();
    switch (op) {
      case 'write':
        return { op, at, offset, length: this.length(), fill: ++this.fill };
      case 'read':
        return { op, at, offset, length: this.below(3) === 0 ? this.fileBytesMax : this.length() };
      case 'truncate':
        return { op, at, size: offset };
      case 'allocate': {
        const mode = this.pick(['allocate', 'reserve', 'punch', 'punch', 'zero', 'zero-keep'] as const);
        return { op, at, offset, length: this.length(), mode };
      }
      case 'seek':
        return { op, at, offset, what: this.pick(['data', 'hole'] as const) };
      default:
        return { op, at };
    }
  }

  private extended(op: 'setExtended' | 'getExtended' | 'removeExtended' | 'listExtended', path: Path): StepBody {
    const name = this.pick(attributeNames);
    if (op === 'listExtended') return { op, path };
    if (op !== 'setExtended') return { op, path, name };
    const only = this.pick([undefined, undefined, 'create', 'replace'] as const);
    const length = this.pick([0, 5, 256, 257, 5000]);
    return { op, path, name, length, fill: ++this.fill, ...(only ? { only } : {}) };
  }

  /** At least one name. The last is, by that chance, one that is there; mostly of the type. */
  private async path(model: FilesExecutor, wanted: { chance: number; type?: string | undefined }): Promise<Path> {
    const depth = 1 + Math.min(this.below(depthMax), this.below(depthMax));
    const path: string[] = [];
    const children = async () =>
      (await model.perform({ client: 0, op: 'list', path }).catch(() => [])) as [string, string][];
    while (path.length < depth - 1) {
      // What is no directory, or not there, comes rarely on the way.
      const found = await children();
      const fitting = this.below(30) === 0 ? found : found.filter(([, type]) => type === 'directory');
      if (fitting.length === 0) break;
      path.push(this.below(40) === 0 ? this.pick(names) : (this.pick(fitting)[0] as string));
    }
    const found = await children();
    const ofType = found.filter(([, type]) => type === wanted.type);
    const fitting = ofType.length > 0 && this.below(12) > 0 ? ofType : found;
    const known = fitting.length > 0 && this.next() < wanted.chance;
    return [...path, known ? (this.pick(fitting)[0] as string) : this.pick(names)];
  }

  private offset(): number {
    const near = [0, 1, 4095, 4096, 65_535, 65_536, 65_537, 131_072];
    const choice = this.below(10);
    if (choice < 4) return this.pick(near);
    return this.below(choice < 9 ? 200_000 : this.fileBytesMax / 2);
  }

  private length(): number {
    const choice = this.below(10);
    if (choice < 5) return 1 + this.below(5000);
    if (choice < 7) return this.pick([1, 256, 257, 4096, 65_536, 65_537]);
    return 1 + this.below(choice < 9 ? 150_000 : this.fileBytesMax / 2);
  }

  private below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

/** mulberry32. */
function generator(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
