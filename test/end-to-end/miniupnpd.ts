// What routers at home forward ports with: miniupnpd, real, on a translating router of a test, made to speak one language only.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './device.ts';
import { type Host, inside } from './lan.ts';
import { needs } from './needs.ts';
import type { Router } from './router.ts';

export const languages = ['PCP', 'NAT-PMP', 'UPnP'] as const;
export type Language = (typeof languages)[number];

/** It forwards nothing where its outer address is private; nothing of these tests leaves their namespaces. */
const publicNetwork = '25.213.0.0/24';
const chains = { nat: ['MINIUPNPD', 'MINIUPNPD-POSTROUTING'], filter: ['MINIUPNPD'] } as const;
const legacy = 'iptables-legacy';

export function needsMiniupnpd(): { skip: string | false } {
  return needs('miniupnpd', legacy, 'sysctl');
}

/** Somebody in front of the routers finds their public addresses. */
export function findsPublic({ name }: Host): Promise<void> {
  return inside(name, 'ip', 'route', 'add', publicNetwork, 'dev', 'wire');
}

export class Miniupnpd {
  /** Where others see what is behind the router. */
  readonly external: string;
  private readonly router: Router;
  private readonly language: Language;
  private readonly folder = mkdtempSync(join(tmpdir(), 'infinit-upnp-'));
  private process: ChildProcess | undefined;

  private constructor(router: Router, language: Language) {
    this.router = router;
    this.language = language;
    this.external = `25.213.0.${router.outside.address.split('.').at(-1)}`;
  }

  static async open(router: Router, language: Language): Promise<Miniupnpd> {
    const daemon = new Miniupnpd(router, language);
    const { name } = router.outside;
    await inside(name, 'ip', 'address', 'add', `${daemon.external}/24`, 'dev', 'wire');
    for (const [table, names] of Object.entries(chains))
      for (const chain of names) await daemon.tables(table, '-N', chain);
    await daemon.tables('nat', '-A', 'PREROUTING', '-i', 'wire', '-j', 'MINIUPNPD');
    await daemon.tables('nat', '-A', 'POSTROUTING', '-o', 'wire', '-j', 'MINIUPNPD-POSTROUTING');
    await daemon.tables('filter', '-A', 'FORWARD', '-i', 'wire', '-j', 'MINIUPNPD');
    // PCP and NAT-PMP share a port; requests of the first are the longer ones.
    const unwanted = language === 'PCP' ? '0:51' : '52:65535';
    const ask = ['-i', 'inner', '-p', 'udp', '--dport', '5351', '-m', 'length', '--length', unwanted];
    await daemon.tables('filter', '-A', 'INPUT', ...ask, '-j', 'DROP');
    await daemon.start();
    return daemon;
  }

  private async start(): Promise<void> {
    const { address, outside } = this.router;
    const says = (is: boolean) => (is ? 'yes' : 'no');
    const lines = [
      ...['ext_ifname=wire', `ext_ip=${this.external}`, 'listening_ip=inner', 'ipv6_disable=yes', 'http_port=0'],
      `enable_natpmp=${says(this.language !== 'UPnP')}`,
      `enable_upnp=${says(this.language === 'UPnP')}`,
      ...['secure_mode=yes', 'uuid=3b0b9d1e-0f6a-4b1f-8a5e-0123456789ab'],
      `allow 1024-65535 ${address}/24 1024-65535`,
      ...['deny 0-65535 0.0.0.0/0 0-65535', ''],
    ];
    const file = join(this.folder, 'conf');
    writeFileSync(file, lines.join('\n'));
    const [program = '', ...words] = [...outside.enter, 'miniupnpd', '-d', '-f', file, '-P', join(this.folder, 'pid')];
    this.process = spawn(program, words, { stdio: 'ignore' });
    await once(this.process, 'spawn');
  }

  /** Outer ports that are forwarded now. */
  async forwarded(): Promise<number[]> {
    const words = [...this.router.outside.enter.slice(1), legacy, '--wait', '-t', 'nat', '-S', 'MINIUPNPD'];
    const rules = (await run(this.router.outside.enter[0] as string, words)).toString();
    return [...rules.matchAll(/--dport (\d+)/g)].map(([, port]) => Number(port));
  }

  /** As a router that was switched off and on: it has forgotten everything. */
  async restart(): Promise<void> {
    await this.end();
    for (const [table, names] of Object.entries(chains))
      for (const chain of names) await this.tables(table, '-F', chain);
    await this.start();
  }

  async close(): Promise<void> {
    await this.end();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async end(): Promise<void> {
    const { process } = this;
    if (process === undefined || process.exitCode !== null) return;
    process.kill('SIGKILL');
    await once(process, 'exit');
  }

  private tables(table: string, ...words: string[]): Promise<void> {
    return inside(this.router.outside.name, legacy, '--wait', '-t', table, ...words);
  }
}
