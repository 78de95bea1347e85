// Ports by NAT-PMP (RFC 6886), for routers that do not speak its successor PCP.

import { ControlPort } from './control-port.ts';
import {
  decodeNatPmp,
  encodeNatPmpAddress,
  encodeNatPmpMap,
  type NatPmpAnswer,
  type NatPmpMapping,
  natPmpResults,
} from './nat-pmp-message.ts';
import {
  checkExternal,
  checkPort,
  corruptAnswer,
  type Mapping,
  type MappingRequest,
  type PortProtocol,
  type ProtocolParts,
} from './protocol.ts';

export class NatPmp implements PortProtocol {
  readonly name = 'NAT-PMP';
  private readonly parts: ProtocolParts;
  private readonly control: ControlPort;

  constructor(parts: ProtocolParts) {
    this.parts = parts;
    this.control = new ControlPort(parts);
  }

  async externalAddress(): Promise<string> {
    const { external = '' } = await this.ask(encodeNatPmpAddress(), ({ operation }) => operation === 'address');
    return checkExternal(external, this.parts.router);
  }

  async map({ port, externalPort, lifetimeMs }: MappingRequest): Promise<Mapping> {
    const host = await this.externalAddress();
    const { mapping } = await this.request({ port, externalPort, lifetimeSeconds: Math.round(lifetimeMs / 1000) });
    if (mapping === undefined || mapping.lifetimeSeconds === 0) throw corruptAnswer('a mapping that has ended');
    this.control.lost = false;
    const external = { host, port: checkPort(mapping.externalPort) };
    return { port, external, lifetimeMs: mapping.lifetimeSeconds * 1000 };
  }

  async holds({ external }: Mapping): Promise<boolean> {
    return (await this.externalAddress()) === external.host && !this.control.lost;
  }

  async unmap({ port }: Mapping): Promise<void> {
    await this.request({ port, externalPort: 0, lifetimeSeconds: 0 });
  }

  private request(wanted: NatPmpMapping): Promise<NatPmpAnswer> {
    const isMeant = ({ operation, mapping }: NatPmpAnswer) =>
      operation === 'map' && (mapping === undefined || mapping.port === wanted.port);
    return this.ask(encodeNatPmpMap(wanted), isMeant);
  }

  private ask(bytes: Buffer, isMeant: (answer: NatPmpAnswer) => boolean): Promise<NatPmpAnswer> {
    const read = (received: Buffer) => {
      const got = decodeNatPmp(received);
      return isMeant(got) ? got : undefined;
    };
    return this.control.ask(bytes, read, natPmpResults);
  }
}
