// Ports by the Port Control Protocol (RFC 6887). The nonce keeps others near from answering, and from taking a mapping off.

import { type Bytes, equalBytes } from '../../base/bytes.ts';
import { ControlPort } from './control-port.ts';
import { decodePcp, encodePcpAnnounce, encodePcpMap, type PcpAnswer, pcpResults } from './pcp-message.ts';
import {
  checkExternal,
  checkPort,
  corruptAnswer,
  type Mapping,
  type MappingRequest,
  type PortProtocol,
  type ProtocolParts,
} from './protocol.ts';

export interface PcpParts extends ProtocolParts {
  /** The same over restarts: a mapping is its maker's. */
  nonce: Bytes;
}

export class Pcp implements PortProtocol {
  readonly name = 'PCP';
  private readonly parts: PcpParts;
  private readonly control: ControlPort;

  constructor(parts: PcpParts) {
    this.parts = parts;
    this.control = new ControlPort(parts);
  }

  async externalAddress(): Promise<undefined> {
    await this.announce();
  }

  async map({ port, externalPort, lifetimeMs }: MappingRequest): Promise<Mapping> {
    const { lifetimeSeconds, map } = await this.request(port, externalPort, Math.round(lifetimeMs / 1000));
    if (lifetimeSeconds === 0 || map === undefined) throw corruptAnswer('a mapping that has ended');
    this.control.lost = false;
    const host = checkExternal(map.external, this.parts.router);
    return { port, external: { host, port: checkPort(map.externalPort) }, lifetimeMs: lifetimeSeconds * 1000 };
  }

  async holds(): Promise<boolean> {
    await this.announce();
    return !this.control.lost;
  }

  async unmap({ port }: Mapping): Promise<void> {
    await this.request(port, 0, 0);
  }

  private async announce(): Promise<void> {
    await this.ask(encodePcpAnnounce(this.parts.router.own), ({ map }) => map === undefined);
  }

  private request(port: number, externalPort: number, lifetimeSeconds: number): Promise<PcpAnswer> {
    const { nonce, router } = this.parts;
    const bytes = encodePcpMap({ own: router.own, nonce, port, externalPort, lifetimeSeconds });
    return this.ask(bytes, ({ map }) => map !== undefined && map.port === port && equalBytes(map.nonce, nonce));
  }

  private ask(bytes: Buffer, isMeant: (answer: PcpAnswer) => boolean): Promise<PcpAnswer> {
    const read = (received: Buffer) => {
      const got = decodePcp(received);
      // Who does not understand what was asked may not repeat it.
      return isMeant(got) || (got.result !== 0 && got.map === undefined) ? got : undefined;
    };
    return this.control.ask(bytes, read, pcpResults);
  }
}
