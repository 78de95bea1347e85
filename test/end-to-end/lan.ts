// A network between real processes that can be cut: a network namespace for each host, joined by a bridge in another or by a line that
// is slow and loses packets, so that nothing of the machine's own network is touched. All of it goes with `close`; what a killed test
// left goes at the start of the next.

import { existsSync } from 'node:fs';
import { run } from './device.ts';
import { Line, type LineQuality } from './line.ts';
import { needs } from './needs.ts';

const prefix = 'infinit-lan';
const subnet = '10.213.0';
let made = 0;

/** A place with an address of its own. */
export interface Host {
  readonly name: string;
  readonly address: string;
  /** Words before a command that runs there. Files and mounts are those of everybody. */
  readonly enter: readonly string[];
}

/** Options of a test that needs a network of its own. */
export function needsLan(): { skip: string | false } {
  if (process.getuid?.() !== 0) return { skip: 'not root: networks cannot be cut' };
  return needs('ip', 'iptables', 'nsenter');
}

export class Lan {
  private readonly name = `${prefix}-${process.pid}-${made++}`;
  private readonly hosts: Host[] = [];
  /** In the place of the bridge. */
  readonly line: Line | undefined;

  private constructor(line: Line | undefined) {
    this.line = line;
  }

  /** Without a host yet. */
  static async open(quality?: LineQuality): Promise<Lan> {
    for (const name of await namespaces()) {
      const [, pid] = new RegExp(`^${prefix}-(\\d+)-`).exec(name) ?? [];
      if (pid !== undefined && !existsSync(`/proc/${pid}`)) await run('ip', ['netns', 'delete', name]).catch(() => {});
    }
    const lan = new Lan(quality && new Line());
    if (quality) {
      await lan.line?.set(quality);
      return lan;
    }
    await run('ip', ['netns', 'add', lan.name]);
    await inside(lan.name, 'ip', 'link', 'add', 'bridge', 'type', 'bridge');
    await inside(lan.name, 'ip', 'link', 'set', 'bridge', 'up');
    return lan;
  }

  async host(): Promise<Host> {
    const number = this.hosts.length + 1;
    const name = `${this.name}-${number}`;
    const host = { name, address: `${subnet}.${number}`, enter: entering(name) };
    await run('ip', ['netns', 'add', name]);
    this.hosts.push(host);
    const [port, bridge] = [`port${number}`, this.name];
    if (this.line) await this.line.add(name);
    else await inside(name, 'ip', 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', port, 'netns', bridge);
    await inside(name, 'ip', 'address', 'add', `${host.address}/24`, 'dev', 'wire');
    for (const link of ['lo', 'wire']) await inside(name, 'ip', 'link', 'set', link, 'up');
    if (!this.line) await inside(bridge, 'ip', 'link', 'set', port, 'master', 'bridge', 'up');
    return host;
  }

  /** Nothing that `from` sends arrives at `to` any more, in connections that are open neither. */
  async deafen(to: Host, from: Host): Promise<void> {
    await inside(to.name, 'iptables', '--wait', '-A', 'INPUT', '-s', from.address, '-j', 'DROP');
  }

  /** Neither hears the other. */
  async part(these: readonly Host[], those: readonly Host[]): Promise<void> {
    for (const one of these)
      for (const other of those) {
        await this.deafen(one, other);
        await this.deafen(other, one);
      }
  }

  async heal(): Promise<void> {
    for (const { name } of this.hosts) await inside(name, 'iptables', '--wait', '-F', 'INPUT');
  }

  /** Whatever runs there still, runs on without a network. */
  async close(): Promise<void> {
    await this.line?.close();
    for (const { name } of this.hosts.splice(0)) await run('ip', ['netns', 'delete', name]).catch(() => {});
    await run('ip', ['netns', 'delete', this.name]).catch(() => {});
  }
}

/** `ip netns exec` would give it mounts of its own. */
function entering(name: string): string[] {
  return ['nsenter', `--net=/run/netns/${name}`, '--'];
}

/** Runs a program there. */
export async function inside(name: string, ...words: string[]): Promise<void> {
  const [program = '', ...rest] = [...entering(name), ...words];
  await run(program, rest);
}

async function namespaces(): Promise<string[]> {
  const lines = (await run('ip', ['netns', 'list'])).toString().split('\n');
  return lines.map((line) => line.split(' ')[0] ?? '').filter((name) => name !== '');
}
