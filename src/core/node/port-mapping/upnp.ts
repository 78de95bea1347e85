// Ports by UPnP (WANIPConnection of an Internet Gateway Device, versions 1 and 2): what most routers at home speak. It proves nobody's
// identity: only the router's own address is believed, for where it describes itself and is called too.

import { InfinitError, isError } from '../../base/errors.ts';
import { ask } from './asking.ts';
import {
  checkExternal,
  checkPort,
  corruptAnswer,
  type Mapping,
  type MappingRequest,
  type PortProtocol,
  type ProtocolParts,
} from './protocol.ts';
import { decodeLocation, encodeSearches, ssdpGroup } from './ssdp-message.ts';
import { UpnpControl, type UpnpService, upnpFault } from './upnp-control.ts';

/** Ports tried when the wanted one is somebody else's. */
const attemptsMax = 4;
const anyPort = { min: 49_152, count: 16_384 };
/** UPnP error codes. */
const faults = { taken: 718, permanentOnly: 725, unknown: [401, 602] };
const description = 'infinit';

interface Entry {
  port: string;
  client: string;
}

export class Upnp implements PortProtocol {
  readonly name = 'UPnP';
  private readonly parts: ProtocolParts;
  private readonly control: UpnpControl;
  /** Looked for again after it did not answer: a router that begins anew moves it. */
  private service: UpnpService | undefined;

  constructor(parts: ProtocolParts) {
    this.parts = parts;
    this.control = new UpnpControl(parts);
  }

  async externalAddress(): Promise<string> {
    const answer = await this.call('GetExternalIPAddress', {});
    return checkExternal(answer('NewExternalIPAddress'), this.parts.router);
  }

  async map({ port, externalPort, lifetimeMs }: MappingRequest, renewed?: Mapping): Promise<Mapping> {
    const host = await this.externalAddress();
    const at = (external: number) => ({ port, external: { host, port: external }, lifetimeMs });
    const reserved = renewed === undefined ? await this.reserve(port, externalPort, lifetimeMs) : undefined;
    if (reserved !== undefined) return at(reserved);
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const random = anyPort.min + this.parts.runtime.random.below(anyPort.count);
      const external = attempt === 0 ? externalPort : random;
      // Some routers would give it to whoever asks last.
      const entry = await this.entry(external);
      if (entry !== undefined && !this.isOwn(entry, port)) continue;
      try {
        await this.add('AddPortMapping', port, external, lifetimeMs);
        return at(external);
      } catch (error) {
        if (upnpFault(error) !== faults.taken) throw error;
      }
    }
    throw new InfinitError('denied', 'the router has forwarded all ports that were tried to others');
  }

  /** The router chooses another port when that one is taken. Undefined where it does not know how. */
  private async reserve(port: number, externalPort: number, lifetimeMs: number): Promise<number | undefined> {
    if ((await this.found()).version < 2) return undefined;
    try {
      const answer = await this.add('AddAnyPortMapping', port, externalPort, lifetimeMs);
      return checkPort(Number(answer('NewReservedPort')));
    } catch (error) {
      if (faults.unknown.includes(upnpFault(error) ?? 0)) return undefined;
      throw error;
    }
  }

  async holds({ port, external }: Mapping): Promise<boolean> {
    const entry = await this.entry(external.port);
    return entry !== undefined && this.isOwn(entry, port);
  }

  /** Only what is this machine's. */
  async unmap(mapping: Mapping): Promise<void> {
    if (await this.holds(mapping)) await this.call('DeletePortMapping', named(mapping.external.port));
  }

  private isOwn({ client, port }: Entry, own: number): boolean {
    return client === this.parts.router.own && port === String(own);
  }

  /** Undefined when there is none, or another's that is kept secret. */
  private async entry(external: number): Promise<Entry | undefined> {
    try {
      const answer = await this.call('GetSpecificPortMappingEntry', named(external));
      return { port: answer('NewInternalPort'), client: answer('NewInternalClient') };
    } catch (error) {
      if (upnpFault(error) !== undefined) return undefined;
      throw error;
    }
  }

  /** Where a router only makes mappings that last, one is made: the next start of this node takes it up. */
  private async add(action: string, port: number, externalPort: number, lifetimeMs: number) {
    const words = (lease: number) => ({
      ...named(externalPort),
      NewInternalPort: String(port),
      NewInternalClient: this.parts.router.own,
      NewEnabled: '1',
      NewPortMappingDescription: description,
      NewLeaseDuration: String(lease),
    });
    try {
      return await this.call(action, words(Math.round(lifetimeMs / 1000)));
    } catch (error) {
      if (upnpFault(error) !== faults.permanentOnly) throw error;
      return this.call(action, words(0));
    }
  }

  private async call(action: string, words: Readonly<Record<string, string>>) {
    const service = await this.found();
    try {
      return await this.control.call(service, action, words);
    } catch (error) {
      if (isError(error, 'unavailable')) this.service = undefined;
      throw error;
    }
  }

  private async found(): Promise<UpnpService> {
    return (this.service ??= await this.control.describe(await this.search()));
  }

  /** Asked alone too: groups do not pass everywhere. */
  private search(): Promise<URL> {
    const { runtime, router } = this.parts;
    const places = [ssdpGroup, { host: router.address, port: ssdpGroup.port }];
    return ask(runtime, {
      messages: encodeSearches().flatMap((bytes) => places.map((to) => ({ bytes, to }))),
      read: (bytes, from) => {
        if (from.host !== router.address) return undefined;
        const location = decodeLocation(bytes);
        if (location === undefined) return undefined;
        const url = this.control.place(location);
        if (url === undefined) throw corruptAnswer('it describes itself elsewhere');
        return url;
      },
    });
  }
}

/** What names a mapping. */
function named(externalPort: number) {
  return { NewRemoteHost: '', NewExternalPort: String(externalPort), NewProtocol: 'TCP' };
}
