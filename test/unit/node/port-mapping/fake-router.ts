// A router of a simulated local network that forwards ports: by PCP, NAT-PMP, or UPnP, as real ones do, until it is told to misbehave.

import { InfinitError } from '../../../../src/core/base/errors.ts';
import { parseXml, textOf } from '../../../../src/core/node/port-mapping/xml.ts';
import type {
  DatagramSocket,
  Endpoint,
  HttpRequest,
  HttpResponse,
  Runtime,
} from '../../../../src/core/runtime/runtime.ts';
import type { World } from '../../../simulator/runtime/world.ts';

export type Language = 'PCP' | 'NAT-PMP' | 'UPnP';

export interface Forwarded {
  client: string;
  port: number;
  /** By PCP; of its maker. */
  nonce?: string;
  leaseSeconds: number;
}

const mapped = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);

export class FakeRouter {
  readonly address: string;
  readonly speaks: Set<Language>;
  external = '203.0.113.9';
  /** By external port. */
  readonly forwarded = new Map<number, Forwarded>();
  /** What requests about mappings are refused with, by PCP and NAT-PMP. */
  refusal = 0;
  /** Seconds a mapping lasts at most. */
  leaseMaxSeconds = 7200;
  /** Of the service that is described. */
  version = 2;
  /** Refuses leases that end, as older routers do. */
  permanentOnly = false;
  /** Gives ports to whoever asks last, by AddPortMapping. */
  careless = false;
  location: string;
  controlUrl = '/ctl';
  /** Requests that came, by what they are. */
  readonly asked: string[] = [];
  private readonly world: World;
  private bornMs = 0;
  private sockets: DatagramSocket[] = [];

  constructor(world: World, address: string, ...speaks: Language[]) {
    this.world = world;
    this.address = address;
    this.speaks = new Set(speaks);
    this.location = `http://${address}:5000/root.xml`;
    this.bornMs = world.nowMs;
  }

  async start(): Promise<void> {
    const { datagrams } = this.world.host(this.address).runtime;
    const group = { address: '239.255.255.250', by: this.address };
    const [control, discovery] = await this.world.settle(
      Promise.all([datagrams.open({ port: 5351 }), datagrams.open({ port: 1900, group })]),
    );
    control.onMessage((bytes, from) => {
      const answer = bytes[0] === 2 ? this.pcp(bytes, from) : this.natPmp(bytes, from);
      if (answer) control.send(answer, from);
    });
    discovery.onMessage((bytes, from) => {
      if (this.speaks.has('UPnP')) discovery.send(this.found(bytes), from);
    });
    this.sockets = [control, discovery];
  }

  stop(): void {
    for (const socket of this.sockets) socket.close();
  }

  /** Forgets everything. */
  restart(): void {
    this.forwarded.clear();
    this.bornMs = this.world.nowMs;
  }

  /** A machine behind it. */
  client(address: string): Runtime {
    this.world.network.ways.set(address, { address: this.address, own: address });
    const { runtime } = this.world.host(address);
    return { ...runtime, http: { request: (request) => this.answered(runtime, request, address) } };
  }

  private get epoch(): number {
    return Math.floor((this.world.nowMs - this.bornMs) / 1000);
  }

  /** The port as wanted, or another one where somebody else has it. */
  private forward(wanted: number, to: Forwarded): number {
    const same = [...this.forwarded].find(([, one]) => one.client === to.client && one.port === to.port);
    let external = same?.[0] ?? wanted;
    while (same === undefined && this.forwarded.has(external)) external++;
    this.forwarded.set(external, to);
    return external;
  }

  private pcp(bytes: Buffer, from: Endpoint): Buffer | undefined {
    if (!this.speaks.has('PCP'))
      return this.speaks.has('NAT-PMP') ? Buffer.from([0, 0x80, 0, 1, 0, 0, 0, 0]) : undefined;
    this.asked.push(bytes[1] === 0 ? 'PCP announce' : `PCP map ${bytes.readUInt32BE(4)}`);
    const answer = Buffer.from(bytes);
    answer.fill(0, 12, 24);
    answer[1] = (bytes[1] as number) | 0x80;
    answer.writeUInt32BE(this.epoch, 8);
    if (bytes[1] === 0) return answer;
    const nonce = bytes.toString('hex', 24, 36);
    const [port, lifetime] = [bytes.readUInt16BE(40), bytes.readUInt32BE(4)];
    const same = [...this.forwarded].find(([, one]) => one.client === from.host && one.port === port);
    const isAnothers = same?.[1].nonce !== undefined && same[1].nonce !== nonce;
    answer[3] = this.refusal || (isAnothers ? 2 : 0);
    if (answer[3] !== 0) return answer;
    const leaseSeconds = Math.min(lifetime, this.leaseMaxSeconds);
    if (lifetime === 0) this.forwarded.delete(same?.[0] ?? 0);
    else
      answer.writeUInt16BE(this.forward(bytes.readUInt16BE(42), { client: from.host, port, nonce, leaseSeconds }), 42);
    answer.writeUInt32BE(leaseSeconds, 4);
    answer.set(mapped, 44);
    answer.set(this.external.split('.').map(Number), 56);
    return answer;
  }

  private natPmp(bytes: Buffer, from: Endpoint): Buffer | undefined {
    if (!this.speaks.has('NAT-PMP')) return undefined;
    const operation = bytes[1] as number;
    this.asked.push(operation === 0 ? 'NAT-PMP address' : `NAT-PMP map ${bytes.readUInt32BE(8)}`);
    const head = Buffer.from([0, operation | 0x80, 0, operation === 0 ? 0 : this.refusal, 0, 0, 0, 0]);
    head.writeUInt32BE(this.epoch, 4);
    if (operation === 0) return Buffer.concat([head, Buffer.from(this.external.split('.').map(Number))]);
    const [port, lifetime] = [bytes.readUInt16BE(4), bytes.readUInt32BE(8)];
    const body = Buffer.alloc(8);
    body.writeUInt16BE(port, 0);
    if (this.refusal !== 0) return Buffer.concat([head, body]);
    const leaseSeconds = Math.min(lifetime, this.leaseMaxSeconds);
    if (lifetime === 0) {
      for (const [external, one] of this.forwarded)
        if (one.client === from.host && one.port === port) this.forwarded.delete(external);
    } else body.writeUInt16BE(this.forward(bytes.readUInt16BE(6), { client: from.host, port, leaseSeconds }), 2);
    body.writeUInt32BE(leaseSeconds, 4);
    return Buffer.concat([head, body]);
  }

  private found(search: Buffer): Buffer {
    const kind = /^ST: (.*)$/m.exec(search.toString())?.[1]?.trim();
    this.asked.push('SSDP');
    return Buffer.from(`HTTP/1.1 200 OK\r\nEXT:\r\nST: ${kind}\r\nLocation: ${this.location}\r\n\r\n`);
  }

  private async answered(
    runtime: Runtime,
    { url, headers, body = [] }: HttpRequest,
    from: string,
  ): Promise<HttpResponse> {
    await runtime.clock.sleep(5);
    const { hostname, port, pathname } = new URL(url);
    if (hostname !== this.address) throw new Error(`somebody else is called: ${url}`);
    if (!this.speaks.has('UPnP') || port !== '5000') throw new InfinitError('unavailable', 'refused');
    if (pathname === '/root.xml') return page(200, this.description());
    const action = headers?.SOAPAction?.split('#')[1]?.replace('"', '') ?? '';
    this.asked.push(`UPnP ${action}`);
    const root = parseXml(Buffer.concat(body).toString());
    const result = this.act(action, (name) => textOf(root, name) ?? '', from);
    if (typeof result === 'number')
      return page(
        500,
        `<e><UPnPError><errorCode>${result}</errorCode><errorDescription>No</errorDescription></UPnPError></e>`,
      );
    const words = Object.entries(result).map(([name, value]) => `<${name}>${value}</${name}>`);
    return page(
      200,
      `<s:E xmlns:s="x"><s:Body><u:${action}Response>${words.join('')}</u:${action}Response></s:Body></s:E>`,
    );
  }

  /** Results, or the number of a fault. */
  private act(action: string, word: (name: string) => string, from: string): Record<string, string | number> | number {
    const external = Number(word('NewExternalPort'));
    const there = this.forwarded.get(external);
    const to = {
      client: word('NewInternalClient'),
      port: Number(word('NewInternalPort')),
      leaseSeconds: Number(word('NewLeaseDuration')),
    };
    switch (action) {
      case 'GetExternalIPAddress':
        return { NewExternalIPAddress: this.external };
      case 'GetSpecificPortMappingEntry':
        return there ? { NewInternalPort: there.port, NewInternalClient: there.client } : 714;
      case 'AddPortMapping':
      case 'AddAnyPortMapping':
        if (to.client !== from) return 606;
        if (this.permanentOnly && to.leaseSeconds > 0) return 725;
        if (action === 'AddAnyPortMapping')
          return this.version > 1 ? { NewReservedPort: this.forward(external, to) } : 401;
        if (there !== undefined && there.client !== from && !this.careless) return 718;
        this.forwarded.set(external, to);
        return {};
      case 'DeletePortMapping':
        return this.forwarded.delete(external) ? {} : 714;
      default:
        return 401;
    }
  }

  private description(): string {
    const type = `urn:schemas-upnp-org:service:WANIPConnection:${this.version}`;
    return `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><serviceList>
      <service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType><controlURL>/l3</controlURL></service>
      </serviceList><deviceList><device><serviceList><service><serviceType>${type}</serviceType>
      <controlURL>${this.controlUrl}</controlURL></service></serviceList></device></deviceList></device></root>`;
  }
}

function page(status: number, text: string): HttpResponse {
  return { status, headers: {}, body: Buffer.from(text) };
}
