// A router that translates addresses, between a network of its own and that of everybody: who is behind it dials out, nobody dials in.

import { run } from './device.ts';
import { type Host, inside, type Lan } from './lan.ts';

let made = 0;

export class Router {
  /** Where it stands in everybody's network. */
  readonly outside: Host;
  private readonly subnet = `10.214.${made++}`;
  private readonly hosts: string[] = [];

  private constructor(outside: Host) {
    this.outside = outside;
  }

  static async open(lan: Lan): Promise<Router> {
    const router = new Router(await lan.host());
    const { name } = router.outside;
    await inside(name, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');
    await inside(name, 'iptables', '--wait', '-t', 'nat', '-A', 'POSTROUTING', '-o', 'wire', '-j', 'MASQUERADE');
    await inside(name, 'ip', 'link', 'add', 'inner', 'type', 'bridge');
    await inside(name, 'ip', 'address', 'add', `${router.subnet}.1/24`, 'dev', 'inner');
    await inside(name, 'ip', 'link', 'set', 'inner', 'up');
    return router;
  }

  /** The address of the router for those behind it. */
  get address(): string {
    return `${this.subnet}.1`;
  }

  /** A place behind it. */
  async host(): Promise<Host> {
    const number = this.hosts.length + 2;
    const name = `${this.outside.name}-${number}`;
    const host = { name, address: `${this.subnet}.${number}`, enter: ['nsenter', `--net=/run/netns/${name}`, '--'] };
    await run('ip', ['netns', 'add', name]);
    this.hosts.push(name);
    const [port, router] = [`inner${number}`, this.outside.name];
    await inside(name, 'ip', 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', port, 'netns', router);
    await inside(name, 'ip', 'address', 'add', `${host.address}/24`, 'dev', 'wire');
    for (const link of ['lo', 'wire']) await inside(name, 'ip', 'link', 'set', link, 'up');
    await inside(name, 'ip', 'route', 'add', 'default', 'via', this.address);
    await inside(router, 'ip', 'link', 'set', port, 'master', 'inner', 'up');
    return host;
  }

  async close(): Promise<void> {
    for (const name of this.hosts.splice(0)) await run('ip', ['netns', 'delete', name]).catch(() => {});
  }
}
